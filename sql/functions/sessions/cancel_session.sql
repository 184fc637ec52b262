-- Public.
create or replace function bookingdb.cancel_session(
    p_session_id uuid,
    p_reason text default null,
    p_refund boolean default null,
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
    v_cancelled bookingdb.changed_session;
    v_session public.sessions;
    v_part text;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
    if p_refund is null and p_idempotency_key is null then
        v_cancelled := bookingdb.cancel_quickly(p_session_id, p_reason);
        if v_cancelled.id is not null then
            return v_cancelled;
        end if;
    end if;

    -- Strangers are refused before any parameter is checked.
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    v_session := bookingdb.lock_session(p_session_id);
    v_part := bookingdb.authorise_for_session(v_session);
    if p_refund is not null and v_part <> 'trusted' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_refund'));
    end if;
    perform bookingdb.lock_people(array[v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'cancel_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_reason, p_refund)
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    perform bookingdb.cancel_locked_session(v_session, v_part, p_reason, p_refund);

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.record_answer(v_answer, v_session.id, v_balance);
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.cancel_session(uuid, text, boolean, text) is
'Cancels a session; its time is free at once for others. The credit returns to the lot it came from (or, when that has expired, in a grace lot) when the therapist or a trusted caller cancels, and when the client does by free_cancellation_until; a therapist who reopened what was over gives none back. Only a trusted caller may decide otherwise (p_refund). For the client, the therapist and trusted callers. Raises: not_allowed.';
