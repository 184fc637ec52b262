create or replace function bookingdb.book_once(
    p_function_name text,
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_idempotency_key text,
    p_override_hours boolean,
    p_override text[] default null
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_request jsonb;
    v_answer bookingdb.idempotency_keys;
    v_locked boolean;
    v_date date := p_session_date;
    v_time time := p_session_time;
    v_time_zone text;
    v_start timestamptz;
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
    v_booked bookingdb.booked_session;
begin
    -- 2. Formats and ranges. (1. is the caller's: may they act for this client?)
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_session_minutes(p_duration_minutes);
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);

    -- 3. The locks, if they are free: every statement from here on sees what the last holder committed, so that nothing
    -- is read twice.
    v_locked := bookingdb.try_lock_people(array[p_therapist_id, p_user_id]);

    -- 4. A key that was answered before is answered again, whatever has become of its time since.
    if p_idempotency_key is not null then
        v_request := bookingdb.booking_request(
            p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
            p_time_zone
        ) || case when p_override_hours then jsonb '["override_hours"]' else jsonb '[]' end
            || case when p_override is null then jsonb '[]' else jsonb_build_array(p_override) end;
        v_answer := bookingdb.find_earlier_answer(p_function_name, p_user_id, p_idempotency_key, v_request);
        if v_answer.result_id is not null then
            return bookingdb.booked_session(v_answer.result_id, v_answer.credits_balance, p_user_id);
        end if;
    end if;

    v_policy := bookingdb.policy_of(p_therapist_id);
    if p_time_zone is null then
        -- local_start() is spelled out: the call would be 1 % of a booking.
        v_time_zone := v_policy.time_zone;
        v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);
    else
        select l.start_time, l.scheduled_date, l.scheduled_time, l.time_zone
        into v_start, v_date, v_time, v_time_zone
        from bookingdb.local_start(p_session_date, p_session_time, p_time_zone, v_policy.time_zone) as l;
    end if;
    -- Minutes are added to a timestamp: a session across midnight or a clock change is as long as it says.
    v_period := tstzrange(v_start, v_start + make_interval(mins => p_duration_minutes));

    if not v_locked then
        -- 5. Somebody else holds the locks. If the slot is already taken, refuse now; do not wait. The calendar is read
        -- before the key: a booking that it shows has left its answer, too.
        if exists (
            select from bookingdb.calendar as c
            where c.therapist_id = p_therapist_id and c.blocked && v_period and c.kind in ('session', 'hold')
        ) then
            v_answer := bookingdb.find_earlier_answer(p_function_name, p_user_id, p_idempotency_key, v_request);
            if v_answer.result_id is null then
                perform bookingdb.require_people(p_therapist_id, p_user_id);
                perform bookingdb.require_duration(p_duration_minutes, v_policy);
                perform bookingdb.require_free_time(
                    bookingdb.overriding_policy(v_policy, p_override), v_period, null, not p_override_hours,
                    p_user_id, true
                );
            end if;
        end if;
        perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

        -- During the wait the same request may have been answered, or the policy changed.
        v_answer := bookingdb.find_earlier_answer(p_function_name, p_user_id, p_idempotency_key, v_request);
        if v_answer.result_id is not null then
            return bookingdb.booked_session(v_answer.result_id, v_answer.credits_balance, p_user_id);
        end if;
        v_policy := bookingdb.policy_of(p_therapist_id);
    end if;

    -- 6. to 9. People, rules, conflicts, the calendar row, the credit, the session.
    v_booked := bookingdb.book_slot(
        p_user_id, v_policy, v_date, v_time, v_time_zone, v_period, p_session_type, p_notes, p_title,
        null, not p_override_hours, p_override
    );
    if p_idempotency_key is not null then
        perform bookingdb.record_answer(v_answer, v_booked.id, v_booked.credits_balance);
    end if;

    -- 10. The row is returned.
    return v_booked;
end;
$function$;

comment on function bookingdb.book_once(
    text, uuid, uuid, date, time, integer, varchar, text, text, text, text, boolean, text[]
) is
'Books a session, from the second step of a booking on, and once per idempotency key. Caller holds: an authorisation for the client. Raises: invalid_therapist_id.';
