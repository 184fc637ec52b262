-- Public.
create or replace function bookingdb.transfer_session(
    p_session_id uuid,
    p_therapist_id uuid,
    p_reason text default null,
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
    v_override text[];
    v_session public.sessions;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
    perform bookingdb.authorise_trusted();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    v_override := bookingdb.require_override(p_override);

    v_session := bookingdb.lock_session(p_session_id);
    perform bookingdb.lock_people(array[v_session.therapist_id, p_therapist_id, v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'transfer_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_therapist_id, p_reason)
        || case when v_override is null then jsonb '[]' else jsonb_build_array(v_override) end
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    perform bookingdb.transfer_locked_session(v_session, p_therapist_id, p_reason, v_override);

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.record_answer(v_answer, v_session.id, v_balance);
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.transfer_session(uuid, uuid, text, text, text[]) is
'Gives a session that has not begun to another therapist, at the same time, by all rules of a booking with them but those of p_override (hours, minimum_notice, maximum_advance, limits, all). The client keeps the credit and their terms of cancelling, and may cancel free of charge for the policy''s moved_cancellation_grace. The event names both therapists. For trusted callers. Raises: invalid_therapist_id.';
