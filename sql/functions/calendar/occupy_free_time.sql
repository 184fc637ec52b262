create or replace function bookingdb.occupy_free_time(
    p_id uuid,
    p_policy bookingdb.effective_policy,
    p_client_id uuid,
    p_period tstzrange,
    p_expires_at timestamptz,
    p_with_hours boolean
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_minutes constant integer := extract(epoch from upper(p_period) - lower(p_period))::integer / 60;
    v_blocked constant tstzrange := bookingdb.blocked_time(p_policy, p_period);
    v_is_limited constant boolean := least(
        p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week, p_policy.maximum_open_sessions,
        p_policy.maximum_client_sessions_per_week
    ) < 1000;
    v_is_taken boolean := false;
begin
    -- Asked here, too: the call would be 0.8 % of a booking.
    if v_is_limited then
        perform bookingdb.mark_limited_booking(p_policy, p_client_id, p_period);
    end if;

    -- The short way is one statement: both people are there and the calendar is empty, as almost always. Under the
    -- locks of both people that is the truth, except in an old snapshot. Look-ups of their own, because an index covers
    -- each.
    if bookingdb.bookable_span(p_policy) @> lower(p_period)
        and bookingdb.is_within_hours_and_limits(p_policy, p_period, null, p_with_hours, true)
        and current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked, expires_at)
        select
            p_id, case when p_expires_at is null then 'session' else 'hold' end, p_policy.therapist_id, p_client_id,
            p_period, v_blocked, p_expires_at
        where exists (select from bookingdb.therapists as t where t.id = p_policy.therapist_id)
            and exists (select from bookingdb.clients as c where c.id = p_client_id)
            and not exists (
                select from bookingdb.calendar as c
                where c.therapist_id = p_policy.therapist_id
                    and c.blocked && v_blocked
                    and c.kind in ('session', 'hold')
            )
            and not exists (
                select from bookingdb.calendar as c
                where c.client_id = p_client_id and c.period && p_period and c.kind in ('session', 'hold')
            )
            -- What is not long began less than a week before.
            and not exists (
                select from bookingdb.absences as a
                where a.therapist_id = p_policy.therapist_id
                    and not a.is_long
                    and lower(a.period) > lower(v_blocked) - interval '168 hours'
                    and lower(a.period) < upper(v_blocked)
                    and upper(a.period) > lower(v_blocked)
            )
            and not exists (
                select from bookingdb.absences as a
                where a.therapist_id = p_policy.therapist_id
                    and a.is_long
                    and upper(a.period) > lower(v_blocked)
                    and lower(a.period) < upper(v_blocked)
            )
            and not exists (
                select from bookingdb.absences as a
                where a.client_id = p_client_id and a.period && p_period
            );
        if found then
            perform bookingdb.require_duration(v_minutes, p_policy);
            if v_is_limited then
                perform bookingdb.require_client_limits(p_policy, p_client_id, p_period, p_id, true);
            end if;
            return;
        end if;
        v_is_taken := true;
    end if;

    -- The long way finds out what is there and whether it matters: an expired hold does not, and time off needs no
    -- buffer.
    perform bookingdb.require_people(p_policy.therapist_id, p_client_id);
    perform bookingdb.require_duration(v_minutes, p_policy);
    perform bookingdb.require_free_time(p_policy, p_period, null, p_with_hours, p_client_id, v_is_taken);
    if v_is_limited then
        perform bookingdb.require_client_limits(p_policy, p_client_id, p_period, p_id, true);
    end if;
    perform bookingdb.occupy_time(p_id, p_policy.therapist_id, p_client_id, p_period, v_blocked, p_expires_at);
end;
$function$;

comment on function bookingdb.occupy_free_time(
    uuid, bookingdb.effective_policy, uuid, tstzrange, timestamptz, boolean
) is
'Gives a new session, or a hold until p_expires_at, its calendar row if people, time rules and calendar allow it. p_with_hours false ignores hours. Caller holds: the locks of both people.';
