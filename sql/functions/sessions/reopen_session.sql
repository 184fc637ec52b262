-- Public.
create or replace function bookingdb.reopen_session(
    p_session_id uuid,
    p_reason text default null,
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
    v_charge bookingdb.session_charge;
    v_reopened public.sessions;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    v_session := bookingdb.lock_session(p_session_id);
    v_part := bookingdb.authorise_for_session(v_session);
    if v_part = 'client' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', v_session.id));
    end if;
    perform bookingdb.lock_people(array[v_session.therapist_id, v_session.user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'reopen_session', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_reason)
    );
    if v_answer.result_id is not null then
        return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
    end if;

    v_charge := bookingdb.last_charge(v_session.id);
    v_reopened := v_session;
    v_reopened.status := bookingdb.reopened_status(v_session, v_charge);
    if v_reopened.status is null then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', bookingdb.last_active_status(v_session)
        ));
    end if;
    -- The therapist corrects what they recorded. What was cancelled was promised to the client, and takes their credit.
    if v_part = 'therapist' and (v_session.status = 'cancelled' or coalesce(v_charge.is_returned, false)) then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', v_session.id));
    end if;

    if v_session.status = 'cancelled' then
        perform bookingdb.require_people(v_session.therapist_id, v_session.user_id);
    elsif current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.require_current_rules(array[v_session.therapist_id, v_session.user_id]);
    end if;
    if v_reopened.status <> v_session.status then
        perform bookingdb.take_time_again(v_reopened);
    end if;

    -- A credit that a late cancellation kept is not taken twice. A request that cost none is charged when it is
    -- approved.
    if v_charge.is_returned then
        v_reopened.credits_charged := greatest(v_session.credits_charged, 1);
        for v_credit_part in 1 .. v_reopened.credits_charged loop
            perform bookingdb.take_credit(
                v_session.user_id, v_session.id, v_credit_part, false,
                case (bookingdb.policy_of(v_session.therapist_id)).credits_valid_on
                    when 'session' then v_session.start_time
                end
            );
        end loop;
    end if;
    if p_reason = v_session.change_reason then
        -- For record_session_change(), which sees no change of it, and ends this.
        perform set_config('bookingdb.same_reason', v_session.id::text, true);
    end if;
    update public.sessions as s
    set status = v_reopened.status,
        cancellation_reason = null,
        change_reason = p_reason,
        credits_charged = v_reopened.credits_charged,
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

comment on function bookingdb.reopen_session(uuid, text, text) is
'Undoes a cancellation, a no-show or a completion that was a mistake: the session gets back the status it had, its time if that is still free, and is charged again if its credit had come back. The terms of cancelling stay. A session that a direct UPDATE brought back without its credit is charged. For trusted callers; the therapist undoes no-shows and completions. Raises: not_allowed, invalid_transition.';
