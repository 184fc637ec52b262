create or replace function bookingdb.mark_limited_booking(
    p_policy bookingdb.effective_policy,
    p_client_id uuid default null,
    p_period tstzrange default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Calls that began before an upgrade have neither client nor period, and prove nothing.
    -- The weeks of the period, in whatever zone.
    v_weeks constant tstzrange := tstzrange(
        bookingdb.add_elapsed(lower(p_period), interval '-192 hours'),
        bookingdb.add_elapsed(upper(p_period), interval '192 hours')
    );
    v_is_old constant boolean := current_setting('transaction_isolation') not in ('read committed', 'read uncommitted');
    v_people uuid[] := '{}';
begin
    if least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000 then
        v_people := v_people || p_policy.therapist_id;
        -- Bookings without a limit mark nobody, and this one's limit may be a new one.
        if v_is_old and p_policy.therapist_id is not null then
            perform bookingdb.require_current_calendar(p_policy.therapist_id, null, v_weeks);
        end if;
    end if;
    if p_client_id is not null
        and least(p_policy.maximum_open_sessions, p_policy.maximum_client_sessions_per_week) < 1000 then
        v_people := v_people || p_client_id;
        -- What they booked with others may have had no limit.
        if v_is_old then
            perform bookingdb.require_current_calendar(
                null, p_client_id, tstzrange(least(lower(v_weeks), clock_timestamp()), 'infinity')
            );
        end if;
    end if;
    if v_people <> '{}' then
        perform bookingdb.mark_rules_changed(v_people);
    end if;
end;
$function$;

comment on function bookingdb.mark_limited_booking(bookingdb.effective_policy, uuid, tstzrange) is
'Under a limit one booking more changes what the next may do: marks the therapist, the client, or both, so that no older snapshot counts too few, nor this one.';
