create or replace function bookingdb.mark_limited_booking(p_policy bookingdb.effective_policy)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000 then
        perform bookingdb.mark_rules_changed(array[p_policy.therapist_id]);
    end if;
end;
$function$;

comment on function bookingdb.mark_limited_booking(bookingdb.effective_policy) is
'Under a limit per day or week one booking more changes what the next may do: marks the therapist, so that no older snapshot counts too few.';
