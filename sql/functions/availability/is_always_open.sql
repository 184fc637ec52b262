create or replace function bookingdb.is_always_open(p_therapist_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return not (bookingdb.policy_of(p_therapist_id)).require_hours
        and not bookingdb.had_hours(p_therapist_id);
end;
$function$;

comment on function bookingdb.is_always_open(uuid) is
'Says whether a therapist can be booked at any time, but for date overrides: they need no weekly hours and never had any. opening_windows() has the same condition for many.';
