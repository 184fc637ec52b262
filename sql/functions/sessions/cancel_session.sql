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
    v_now timestamptz;
    v_session public.sessions;
    v_part text;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
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

    v_now := clock_timestamp();
    perform bookingdb.require_transition(v_session, 'cancelled');
    -- The client cannot cancel a session that has begun.
    if v_part = 'client' and v_session.start_time <= v_now then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'cancelled',
            'start_time', bookingdb.iso_utc(v_session.start_time)
        ));
    end if;

    delete from bookingdb.calendar as c
    where c.id = v_session.id and c.kind = 'session';

    -- The cancellation terms were fixed at the booking. Sessions from before there were any follow today's policy.
    if coalesce(
        p_refund,
        v_part <> 'client' or v_now <= coalesce(
            v_session.free_cancellation_until,
            bookingdb.free_cancellation_until(bookingdb.policy_of(v_session.therapist_id), v_session.start_time)
        ),
        -- A session without a start is never cancelled late.
        true
    ) then
        perform bookingdb.return_credit(v_session);
    end if;

    -- The reason reaches the audit log with the change of the column.
    update public.sessions as s
    set status = 'cancelled',
        cancellation_reason = p_reason,
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

comment on function bookingdb.cancel_session(uuid, text, boolean, text) is
'Cancels a session; its time is free at once for others. The credit returns to the lot it came from (or, when that has expired, in a grace lot) when the therapist or a trusted caller cancels, and when the client does by free_cancellation_until. Only a trusted caller may decide otherwise (p_refund). For the client, the therapist and trusted callers. Raises: not_allowed, invalid_transition.';
