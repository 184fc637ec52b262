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
declare
    v_places constant tid[] := array(select o.place from bookingdb.times_over(p_kind, p_before, p_limit) as o (place));
    v_removed integer;
begin
    if p_dry_run then
        return cardinality(v_places);
    end if;
    delete from bookingdb.calendar as c
    where c.ctid = any (array(
        select k.ctid
        from bookingdb.calendar as k
        where k.ctid = any (v_places)
        for update skip locked
    ));
    get diagnostics v_removed = row_count;
    return v_removed;
end;
$function$;

comment on function bookingdb.remove_times(text, timestamptz, integer, boolean) is
'Removes calendar rows that can go (times_over), but for those that somebody has locked, and returns how many.';
