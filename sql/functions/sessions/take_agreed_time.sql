create or replace function bookingdb.take_agreed_time(
    p_session bookingdb.realigned_session,
    p_old bookingdb.calendar
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_period constant tstzrange := tstzrange(
        p_session.new_start_time,
        bookingdb.add_elapsed(p_session.new_start_time, upper(p_old.period) - lower(p_old.period))
    );
    v_policy bookingdb.effective_policy;
begin
    if p_session.new_start_time is null then
        return 'skipped_time';
    end if;
    if p_session.new_start_time <= clock_timestamp() then
        return 'in_past';
    end if;
    -- A session that overlaps another since the adoption has no time of its own.
    if p_old.id is null then
        return 'no_calendar_row';
    end if;

    -- The buffers are those that the session was given. Hours and limits count in local time, which stays; the calendar
    -- counts as it does for direct writers.
    v_policy := bookingdb.policy_of(p_session.therapist_id);
    v_policy.buffer_before_minutes := extract(epoch from lower(p_old.period) - lower(p_old.blocked))::integer / 60;
    v_policy.buffer_after_minutes := extract(epoch from upper(p_old.blocked) - upper(p_old.period))::integer / 60;
    perform bookingdb.mark_limited_booking(v_policy, p_session.user_id, v_period);
    if p_session.therapist_id is not null
        and not bookingdb.is_free(v_policy, v_period, p_session.session_id, false, false) then
        return 'booking_conflict';
    end if;
    if bookingdb.client_conflict(p_session.user_id, v_period, p_session.session_id) then
        return 'client_conflict';
    end if;
    -- Where they are the therapist, as mirror_time() looks for it.
    if exists (
        select from bookingdb.calendar as c
        where c.therapist_id = p_session.user_id
            and c.blocked && v_period
            and c.kind in ('session', 'hold')
            and (c.expires_at is null or c.expires_at > clock_timestamp())
            and c.client_id is distinct from p_session.user_id
    ) then
        return 'client_conflict';
    end if;
    perform bookingdb.occupy_time(
        p_session.session_id, p_session.therapist_id, p_session.user_id, v_period,
        bookingdb.blocked_time(v_policy, v_period), p_old.expires_at, 'session'
    );
    return null;
end;
$function$;

comment on function bookingdb.take_agreed_time(bookingdb.realigned_session, bookingdb.calendar) is
'Gives a session that gave up its calendar row one at its agreed time, or returns why it cannot. Caller holds: the locks of both people.';
