-- Public.
create or replace function bookingdb.refund_session(
    p_session_id uuid,
    p_reason text,
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
    v_answer bookingdb.idempotency_keys;
    v_charge bookingdb.session_charge;
    v_balance integer;
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_credit_reason(p_reason);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    v_session := bookingdb.lock_session(p_session_id);
    perform bookingdb.lock_people(array[v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'refund_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_reason)
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    -- With its credit returned, a session to come would cost nothing: cancel it, or let it end.
    if coalesce(v_session.status, '') not in ('completed', 'no_show', 'cancelled') then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'refunded'
        ));
    end if;
    v_charge := bookingdb.last_charge(v_session.id);
    if v_charge.is_returned is not false or not bookingdb.return_credit(v_session, p_reason) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'refunded',
            'reason', case when v_charge.is_returned then 'refunded' else 'not_charged' end
        ));
    end if;

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.record_answer(v_answer, v_session.id, v_balance);
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.refund_session(uuid, text, text) is
'Gives back the credit of a session that is over (completed, no_show) or was cancelled late, once per charge; the session stays as it is. The ledger keeps p_reason (1 to 1000 characters), and calls it goodwill where the session was not cancelled. For trusted callers. Raises: invalid_transition.';
