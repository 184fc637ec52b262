-- Public.
create or replace function bookingdb.hold_slot(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_ttl interval default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns bookingdb.held_slot
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_answer bookingdb.idempotency_keys;
    v_policy bookingdb.effective_policy;
    v_local bookingdb.local_start;
    v_period tstzrange;
    v_now timestamptz;
    v_expires_at timestamptz;
    v_hold_id uuid;
    v_given_up_id uuid;
    v_held bookingdb.held_slot;
begin
    -- Asked here, too: the call would be 1 % of a hold.
    if p_user_id is null or not bookingdb.acts_for_anyone() then
        perform bookingdb.authorise(p_user_id);
    end if;
    if p_idempotency_key is null then
        v_held := bookingdb.hold_quickly(
            p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_ttl, p_time_zone
        );
        if v_held.id is not null then
            return v_held;
        end if;
    end if;

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_session_minutes(p_duration_minutes);
    -- Compared in seconds: a month has no length of its own.
    if extract(epoch from p_ttl) not between 10 and 3600 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_ttl', 'minimum', '10 seconds', 'maximum', '1 hour'
        ));
    end if;
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

    if p_idempotency_key is not null then
        v_answer := bookingdb.find_earlier_answer('hold_slot', p_user_id, p_idempotency_key, jsonb_build_array(
            p_therapist_id, p_session_date, p_session_time, p_duration_minutes, extract(epoch from p_ttl)::text,
            p_time_zone
        ));
        if v_answer.result_id is not null then
            return bookingdb.held_slot(v_answer.result_id);
        end if;
    end if;

    v_local := bookingdb.local_start(
        p_session_date, p_session_time, p_time_zone, bookingdb.time_zone_of(p_therapist_id)
    );
    v_period := tstzrange(v_local.start_time, v_local.start_time + make_interval(mins => p_duration_minutes));
    perform bookingdb.require_people(p_therapist_id, p_user_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(p_duration_minutes, v_policy);

    -- A client has one hold with a therapist: a new one replaces the old one, which stays if this call fails.
    v_now := clock_timestamp();
    delete from bookingdb.calendar as c
    where c.kind = 'hold' and c.client_id = p_user_id and c.therapist_id = p_therapist_id
    returning c.id
    into v_given_up_id;
    update bookingdb.holds as h
    set released_at = v_now
    where h.id = v_given_up_id and h.expires_at > v_now;
    if found then
        perform bookingdb.write_hold_event('hold.released', v_given_up_id);
    end if;

    v_hold_id := bookingdb.new_id();
    v_expires_at := bookingdb.add_elapsed(v_now, coalesce(p_ttl, v_policy.hold_lifetime));
    perform bookingdb.occupy_free_time(v_hold_id, v_policy, p_user_id, v_period, v_expires_at, true);
    insert into bookingdb.holds (
        id, user_id, therapist_id, scheduled_date, scheduled_time, time_zone, duration_minutes, start_time, end_time,
        expires_at
    )
    values (
        v_hold_id, p_user_id, p_therapist_id, v_local.scheduled_date, v_local.scheduled_time, v_local.time_zone,
        p_duration_minutes, v_local.start_time, upper(v_period), v_expires_at
    );
    perform bookingdb.write_hold_event('hold.placed', v_hold_id);

    if p_idempotency_key is not null then
        perform bookingdb.record_answer(v_answer, v_hold_id, bookingdb.credits_balance(p_user_id));
    end if;
    return bookingdb.held_slot(v_hold_id);
end;
$function$;

comment on function bookingdb.hold_slot(uuid, uuid, date, time, integer, interval, text, text) is
'Keeps a time for a client against everybody else until expires_at, at no cost: for p_ttl (10 seconds to 1 hour), else for the policy''s hold_lifetime (5 minutes by default). A client has one hold with a therapist: another one replaces it. book_hold() turns it into a session, release_hold() gives it up. For the user themselves and for trusted callers. Raises: invalid_therapist_id, invalid_parameter.';
