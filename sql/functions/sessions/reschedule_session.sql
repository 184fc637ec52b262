-- Public.
create or replace function bookingdb.reschedule_session(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default null,
    p_time_zone text default null,
    p_idempotency_key text default null,
    p_override text[] default null
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
    v_moved bookingdb.changed_session;
    v_override text[];
    v_session public.sessions;
    v_part text;
    v_answer bookingdb.idempotency_keys;
    v_local bookingdb.local_start;
    v_minutes integer;
    v_balance integer;
begin
    if p_idempotency_key is null and p_override is null then
        v_moved := bookingdb.move_quickly(
            p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone
        );
        if v_moved.id is not null then
            return v_moved;
        end if;
    end if;

    perform bookingdb.authorise_anyone();
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    if p_duration_minutes is not null then
        perform bookingdb.require_session_minutes(p_duration_minutes);
    end if;
    v_override := bookingdb.require_override(p_override);

    v_session := bookingdb.lock_session(p_session_id);
    v_part := bookingdb.authorise_for_session(v_session);
    if v_override is not null and v_part <> 'trusted' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_override'));
    end if;
    perform bookingdb.lock_people(array[v_session.therapist_id, v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'reschedule_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone)
        || case when v_override is null then jsonb '[]' else jsonb_build_array(v_override) end
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    v_local := bookingdb.local_start(
        p_session_date, p_session_time, p_time_zone, bookingdb.time_zone_of(v_session.therapist_id)
    );
    v_minutes := coalesce(p_duration_minutes, bookingdb.length_in_minutes(v_session));
    perform bookingdb.move_locked_session(
        v_session, v_part, v_local.scheduled_date, v_local.scheduled_time, v_local.time_zone, v_local.start_time,
        v_minutes, v_override
    );

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.record_answer(v_answer, v_session.id, v_balance);
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.reschedule_session(uuid, date, time, integer, text, text, text[]) is
'Moves a session that has not begun to another time: the same id, the credit carried over, all rules of a booking. Without p_duration_minutes it stays as long as it was; without p_time_zone the time is local to the therapist''s zone, which the session has from then on. A trusted caller overrides rules by their names (p_override: hours, minimum_notice, maximum_advance, limits, all), which the session and the audit log then say. For the client, the therapist and trusted callers. Raises: not_allowed.';
