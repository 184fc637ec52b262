-- Public.
create or replace function bookingdb.approve_session(p_session_id uuid, p_idempotency_key text default null)
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
    v_answer bookingdb.idempotency_keys;
    v_charge bookingdb.session_charge;
    v_policy bookingdb.effective_policy;
    v_free_until timestamptz;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    v_session := bookingdb.lock_session(p_session_id);
    if bookingdb.authorise_for_session(v_session) = 'client' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', v_session.id));
    end if;
    perform bookingdb.lock_people(array[v_session.therapist_id, v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'approve_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id)
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    -- Only a pending session that has its calendar row can be approved. (One whose time is past may have none.)
    if v_session.status <> 'pending_approval'
        or (
            (v_session.start_time <= clock_timestamp()) is not true
            and not exists (select from bookingdb.calendar as c where c.id = v_session.id and c.kind = 'session')
        ) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'scheduled'
        ));
    end if;
    perform bookingdb.require_transition(v_session, 'scheduled');
    perform bookingdb.require_wait(v_session, 'scheduled');
    -- A credit that was returned is not taken again unasked.
    v_charge := bookingdb.last_charge(v_session.id);
    if v_charge.is_returned then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'scheduled', 'reason', 'refunded'
        ));
    end if;
    perform bookingdb.require_people(v_session.therapist_id, v_session.user_id);
    perform bookingdb.require_to_come(v_session.start_time);

    -- The credit is taken now, unless the session was charged already.
    v_policy := bookingdb.policy_of(v_session.therapist_id);
    if v_charge.charge is null then
        perform bookingdb.take_credit(
            v_session.user_id, v_session.id,
            p_valid_at => case v_policy.credits_valid_on when 'session' then v_session.start_time end
        );
    end if;
    if v_session.approval_until is not null then
        update bookingdb.calendar as c
        set expires_at = null
        where c.id = v_session.id and c.kind = 'session';
    end if;
    -- What a move or a transfer by the practice granted meanwhile is not taken back.
    v_free_until := bookingdb.free_cancellation_until(v_policy, v_session.start_time);
    if v_session.cancellation_notice is not null and v_session.free_cancellation_until > v_free_until then
        v_free_until := v_session.free_cancellation_until;
    else
        v_session.cancellation_notice := null;
    end if;
    update public.sessions as s
    set status = 'scheduled',
        approval_until = null,
        credits_charged = coalesce(v_charge.credits, 1),
        free_cancellation_until = v_free_until,
        cancellation_notice = v_session.cancellation_notice,
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

comment on function bookingdb.approve_session(uuid, text) is
'Approves a session that waits for it (pending_approval), and takes its credit now; to decline, cancel it. For the therapist and trusted callers. Raises: not_allowed, invalid_transition.';
