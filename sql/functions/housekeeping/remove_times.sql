create or replace function bookingdb.remove_times(
    p_kind text,
    p_before timestamptz,
    p_limit integer,
    p_dry_run boolean
)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.remove_rows(
        case when p_kind in ('session', 'hold') then 'bookingdb.calendar' else 'bookingdb.absences' end,
        array(select bookingdb.times_over(p_kind, p_before, p_limit)),
        p_dry_run
    );
end;
$function$;

comment on function bookingdb.remove_times(text, timestamptz, integer, boolean) is
'Removes calendar rows or absences that can go (times_over), but for those that somebody has locked, and returns how many.';
