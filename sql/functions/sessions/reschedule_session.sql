-- Public.
create or replace function bookingdb.reschedule_session(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_session public.sessions;
    v_part text;
    v_answer bookingdb.idempotency_keys;
    v_policy bookingdb.effective_policy;
    v_now timestamptz;
    v_time_zone text;
    v_minutes integer;
    v_start timestamptz;
    v_period tstzrange;
    v_free_until timestamptz;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    if p_duration_minutes is not null then
        perform bookingdb.require_session_minutes(p_duration_minutes);
    end if;

    v_session := bookingdb.lock_session(p_session_id);
    v_part := bookingdb.authorise_for_session(v_session);
    -- Without a zone the time is local to the session's own zone.
    v_time_zone := bookingdb.resolve_time_zone(
        coalesce(p_time_zone, v_session.time_zone), (bookingdb.policy_of(v_session.therapist_id)).time_zone
    );
    v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);
    -- The session is as long as it takes. A direct writer may have left its end out, or made it endless.
    v_minutes := coalesce(
        p_duration_minutes,
        case when v_session.start_time < v_session.end_time then least(86400, (
            extract(epoch from v_session.end_time) - extract(epoch from v_session.start_time)
        ))::integer / 60 end,
        v_session.duration_minutes,
        0
    );

    perform bookingdb.lock_people(array[v_session.therapist_id, v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'reschedule_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone)
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    -- A session that is over, or has begun, does not move.
    v_now := clock_timestamp();
    if coalesce(v_session.status, '') not in ('pending_approval', 'scheduled', 'confirmed')
        or v_session.start_time <= v_now then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status,
            'start_time', bookingdb.iso_utc(v_session.start_time)
        ));
    end if;

    -- All rules of a booking apply.
    perform bookingdb.require_people(v_session.therapist_id, v_session.user_id);
    v_policy := bookingdb.policy_of(v_session.therapist_id);
    perform bookingdb.require_duration(v_minutes, v_policy);
    v_period := tstzrange(v_start, v_start + make_interval(mins => v_minutes));
    perform bookingdb.require_free_time(v_policy, v_period, v_session.id, true);
    perform bookingdb.mark_limited_booking(v_policy);

    -- The old time is given up in the same transaction that wins the new one, or not at all.
    delete from bookingdb.calendar as c
    where c.id = v_session.id
        and (c.kind = 'session' or (c.kind = 'external' and c.external_source = 'adoption'));
    delete from bookingdb.overlapping_sessions as o
    where o.session_id = v_session.id;
    perform bookingdb.occupy_time(
        v_session.id, v_session.therapist_id, v_session.user_id, v_period, bookingdb.blocked_time(v_policy, v_period),
        null
    );

    -- The window of free cancellation moves along. A client for whom it had closed cannot reopen it by moving the
    -- session.
    v_free_until := coalesce(
        v_session.free_cancellation_until,
        bookingdb.free_cancellation_until(v_policy, v_session.start_time)
    );
    if v_part <> 'client' or v_now <= v_free_until then
        v_free_until := bookingdb.moved_cancellation_terms(v_policy, v_free_until, v_session.start_time, v_start);
    end if;

    update public.sessions as s
    set scheduled_date = p_session_date,
        scheduled_time = p_session_time,
        start_time = v_start,
        end_time = upper(v_period),
        duration_minutes = v_minutes,
        time_zone = v_time_zone,
        free_cancellation_until = v_free_until,
        hours_overridden = false,
        updated_at = now()
    where s.id = v_session.id;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.record_answer(v_answer, v_session.id, v_balance);
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.reschedule_session(uuid, date, time, integer, text, text) is
'Moves a session that has not begun to another time: the same id, the credit carried over, all rules of a booking. Without p_duration_minutes it stays as long as it was; without p_time_zone the time is local to the session''s own zone. For the client, the therapist and trusted callers. Raises: invalid_transition.';
