create or replace function bookingdb.create_session_with_credit_deduction(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_idempotency_key text
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'create_session_with_credit_deduction';
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
    v_time_zone text;
    v_start timestamptz;
    v_end timestamptz;
    v_session_id uuid;
    v_booked bookingdb.booked_session;
begin
    -- 1. Who is asking, and may they act for this user?
    perform bookingdb.authorise(p_user_id);

    -- 2. Formats and ranges.
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
    perform bookingdb.require_length('p_session_type', coalesce(p_session_type, ''), 1, 50);
    perform bookingdb.require_length('p_title', coalesce(p_title, ''), 1, 255);
    perform bookingdb.require_length('p_notes', p_notes, 0, 10000);
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);
    -- Minutes on an instant: a session may cross midnight or a clock change and is as long as it says.
    v_end := v_start + make_interval(mins => p_duration_minutes);

    -- 3. A key that was answered before is answered again, also when the time has passed meanwhile.
    if p_idempotency_key is not null then
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
            p_time_zone
        ));
        v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
    end if;

    if v_answer.result_id is null then
        -- 4. Locks. The statements after them see what the last holder committed.
        perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

        -- 5. The same request may have been answered while we waited, a person deactivated.
        if p_idempotency_key is not null then
            v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
        end if;
    end if;

    if v_answer.result_id is not null then
        select s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time,
            s.start_time, s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
            v_answer.credits_balance
        into v_booked
        from public.sessions as s
        where s.id = v_answer.result_id;
        if not found then
            perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', v_answer.result_id));
        end if;
        return v_booked;
    end if;

    if not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
    if not exists (select from bookingdb.clients as c where c.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;

    -- 6. Time rules, then conflicts; 7. the calendar row. The clock is read here: the call may have waited long.
    if v_start < clock_timestamp() then
        perform bookingdb.raise_error('in_past', jsonb_build_object('start_time', bookingdb.utc(v_start)));
    end if;
    v_session_id := gen_random_uuid();
    perform bookingdb.occupy_time(v_session_id, p_therapist_id, p_user_id, tstzrange(v_start, v_end));

    -- 8. One credit from one lot.
    perform bookingdb.take_credit(p_user_id, v_session_id);

    -- 9. The session. Its triggers find the calendar in step, and write the audit row and the event.
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged
    )
    values (
        v_session_id, p_user_id, p_therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        v_start, v_end, p_duration_minutes, p_session_type, 'scheduled', v_time_zone, 1
    )
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        bookingdb.credits_balance(p_user_id)
    into v_booked;
    if not found then
        -- A BEFORE trigger of the application swallowed the row: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;

    if p_idempotency_key is not null then
        insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id, credits_balance)
        values (
            c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_session_id, v_booked.credits_balance
        )
        -- Under the lock nobody else's is there, but REPEATABLE READ may hide one: Postgres then raises its own 40001.
        on conflict do nothing;
    end if;

    -- 10.
    return v_booked;
end;
$function$;

comment on function bookingdb.create_session_with_credit_deduction(
    uuid, uuid, date, time, integer, varchar, text, text, text, text
) is
'Books a session and takes one credit for it, or changes nothing. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_therapist_id, invalid_duration, invalid_parameter, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, booking_conflict, client_conflict, insufficient_credits.';
