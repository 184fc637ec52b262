-- Public.
create or replace function bookingdb.record_session(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_status text default 'completed',
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
    v_policy bookingdb.effective_policy;
    v_local bookingdb.local_start;
    v_now timestamptz;
    v_answer bookingdb.idempotency_keys;
    v_session public.sessions;
    v_booked bookingdb.booked_session;
begin
    -- 1. and 2. The caller, and the form of what is asked.
    perform bookingdb.authorise_trusted();
    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_session_minutes(p_duration_minutes);
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);
    if p_status is null or p_status not in ('in_progress', 'completed', 'no_show') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_status', 'allowed', jsonb_build_array('in_progress', 'completed', 'no_show')
        ));
    end if;

    -- 3. and 4. The locks, and an answer that was given before.
    perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);
    v_answer := bookingdb.find_earlier_answer('record_session', p_user_id, p_idempotency_key, jsonb_build_array(
        p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
        p_time_zone, p_status
    ));
    if v_answer.result_id is not null then
        return bookingdb.booked_session(v_answer.result_id, v_answer.credits_balance, p_user_id);
    end if;

    -- 5. It began within the last year: what is to come is booked. What is over has ended, and frees no time to come.
    v_policy := bookingdb.policy_of(p_therapist_id);
    v_local := bookingdb.local_start(p_session_date, p_session_time, p_time_zone, v_policy.time_zone);
    v_session.start_time := v_local.start_time;
    v_now := clock_timestamp();
    if v_session.start_time > v_now or v_session.start_time < bookingdb.add_elapsed(v_now, interval '-366 days') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_session_date', 'start_time', bookingdb.iso_utc(v_session.start_time),
            'reason', case when v_session.start_time > v_now then 'to_come' else 'too_long_ago' end
        ));
    end if;
    v_session.end_time := v_session.start_time + make_interval(mins => p_duration_minutes);
    if (p_status = 'in_progress') = (v_session.end_time <= v_now) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_status', 'reason', case when p_status = 'in_progress' then 'over' else 'not_over' end
        ));
    end if;
    perform bookingdb.require_people(p_therapist_id, p_user_id);
    perform bookingdb.require_duration(p_duration_minutes, v_policy);

    -- 6. Nobody was in two sessions at a time. One that goes on has its time in the calendar.
    v_session.id := bookingdb.new_id();
    v_session.user_id := p_user_id;
    v_session.therapist_id := p_therapist_id;
    v_session.status := p_status;
    if p_status = 'in_progress' then
        perform bookingdb.take_time_again(v_session);
    else
        perform bookingdb.require_no_other_session(v_session);
    end if;
    perform bookingdb.mark_limited_booking(v_policy, p_user_id, tstzrange(v_session.start_time, v_session.end_time));

    -- 7. The credit, the session, and what was answered.
    v_booked := bookingdb.write_session(
        v_session.id, p_user_id, v_policy, v_local.scheduled_date, v_local.scheduled_time, v_local.time_zone,
        tstzrange(v_session.start_time, v_session.end_time), p_session_type, p_notes, p_title, null, false,
        array['in_past'], p_status
    );
    perform bookingdb.record_answer(v_answer, v_booked.id, v_booked.credits_balance);
    return v_booked;
end;
$function$;

comment on function bookingdb.record_session(
    uuid, uuid, date, time, integer, varchar, text, text, text, text, text
) is
'Records a session that began within the last 366 days and that nobody had booked, and takes a credit for it: completed or no_show, when it has ended, or in_progress. Hours, notice and limits do not count; neither person may have had another session then. The session and the audit log say that it was recorded in hindsight (overridden rule in_past). For trusted callers. Raises: invalid_user_id, invalid_therapist_id, invalid_parameter.';
