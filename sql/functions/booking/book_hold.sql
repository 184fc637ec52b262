-- Public.
create or replace function bookingdb.book_hold(
    p_hold_id uuid,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_idempotency_key text default null
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_hold bookingdb.holds;
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
    v_rule text;
    v_answer bookingdb.idempotency_keys;
    v_booked bookingdb.booked_session;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);
    v_hold := bookingdb.lock_hold(p_hold_id);

    v_answer := bookingdb.find_earlier_answer(
        'book_hold', v_hold.user_id, p_idempotency_key, jsonb_build_array(p_hold_id, p_session_type, p_notes, p_title)
    );
    if v_answer.result_id is not null then
        return bookingdb.booked_session(v_answer.result_id, v_answer.credits_balance, v_hold.user_id);
    end if;

    -- A retry without a key is answered like one with it, as long as the session is the client's and not cancelled.
    if p_idempotency_key is null and exists (
        select from public.sessions as s
        where s.id = p_hold_id and s.user_id = v_hold.user_id and s.status <> 'cancelled'
    ) then
        return bookingdb.booked_session(p_hold_id, bookingdb.credits_balance(v_hold.user_id), v_hold.user_id);
    end if;

    -- The hold's calendar row becomes the session's, so that nobody can come between. (A booking that finds it expired
    -- removes it.)
    update bookingdb.calendar as c
    set kind = 'session',
        expires_at = null
    where c.id = p_hold_id and c.kind = 'hold' and c.expires_at > clock_timestamp();
    if not found then
        perform bookingdb.raise_error('hold_expired', jsonb_build_object(
            'hold_id', p_hold_id,
            'reason', case
                when exists (select from public.sessions as s where s.id = p_hold_id) then 'booked'
                when v_hold.released_at is not null then 'released'
                else 'expired'
            end,
            'expires_at', bookingdb.iso_utc(v_hold.expires_at)
        ));
    end if;

    -- Notice, hours, buffers and limits were checked when the time was held. Since then people may have become
    -- inactive, and the therapist may have taken time off.
    perform bookingdb.require_people(v_hold.therapist_id, v_hold.user_id);
    v_policy := bookingdb.policy_of(v_hold.therapist_id);
    perform bookingdb.require_duration(v_hold.duration_minutes, v_policy);
    perform bookingdb.require_to_come(v_hold.start_time);
    v_period := tstzrange(v_hold.start_time, v_hold.end_time);
    select b.kind
    into v_rule
    from bookingdb.busy_times(
        v_policy, tstzrange(v_hold.start_time, v_hold.start_time, '[]'), v_hold.end_time - v_hold.start_time, p_hold_id
    ) as b
    where b.kind in ('time_off', 'external') and b.period && v_period
    order by lower(b.period)
    limit 1;
    if found then
        perform bookingdb.raise_error('booking_conflict', bookingdb.refusal_context(
            v_rule, v_policy, v_period, p_hold_id, true
        ));
    end if;

    -- Sessions with others may have been booked meanwhile.
    if least(v_policy.maximum_open_sessions, v_policy.maximum_client_sessions_per_week) < 1000 then
        perform bookingdb.mark_limited_booking(v_policy, v_hold.user_id, v_period);
        perform bookingdb.require_client_limits(v_policy, v_hold.user_id, v_period, p_hold_id, true);
    end if;

    v_booked := bookingdb.write_session(
        p_hold_id, v_hold.user_id, v_policy, v_hold.scheduled_date, v_hold.scheduled_time, v_hold.time_zone, v_period,
        p_session_type, p_notes, p_title, null, false
    );
    perform bookingdb.write_hold_event('hold.booked', p_hold_id);
    perform bookingdb.record_answer(v_answer, v_booked.id, v_booked.credits_balance);
    return v_booked;
end;
$function$;

comment on function bookingdb.book_hold(uuid, varchar, text, text, text) is
'Turns a hold into a session, which has the hold''s id, and takes one credit for it. It happens once: a second call returns that session, with an idempotency key if it is the same one. Once the session is cancelled or another client''s, or with another key, it gets hold_expired. For the user whose hold it is and for trusted callers. Raises: hold_expired, booking_conflict.';
