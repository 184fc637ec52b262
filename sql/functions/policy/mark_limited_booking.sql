create or replace function bookingdb.mark_limited_booking(
    p_policy bookingdb.effective_policy,
    p_client_id uuid default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[] := '{}';
begin
    if least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000 then
        v_people := v_people || p_policy.therapist_id;
    end if;
    if p_client_id is not null
        and least(p_policy.maximum_open_sessions, p_policy.maximum_client_sessions_per_week) < 1000 then
        v_people := v_people || p_client_id;
    end if;
    if v_people <> '{}' then
        perform bookingdb.mark_rules_changed(v_people);
    end if;
end;
$function$;

comment on function bookingdb.mark_limited_booking(bookingdb.effective_policy, uuid) is
'Under a limit one booking more changes what the next may do: marks the therapist, the client, or both, so that no older snapshot counts too few.';
