create or replace function bookingdb.is_open(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.is_within_hours_and_limits(p_policy, p_period, p_except_id, p_with_hours, p_with_limits);
end;
$function$;

comment on function bookingdb.is_open(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean) is
'The name of is_within_hours_and_limits() in the version before, for calls that began before the upgrade. The next version drops it.';
