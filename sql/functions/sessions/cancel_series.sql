-- Public.
create or replace function bookingdb.cancel_series(
    p_session_id uuid,
    p_reason text default null,
    p_refund boolean default null,
    p_idempotency_key text default null
)
returns setof bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_sessions public.sessions[];
    v_session public.sessions;
    v_answer bookingdb.idempotency_keys;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    -- 1. The locks: sessions by id, then their clients.
    v_sessions := bookingdb.lock_series(p_session_id, 'cancel_session');
    v_session := v_sessions[1];
    if p_refund is not null and bookingdb.authorise_for_session(v_session) <> 'trusted' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_refund'));
    end if;
    perform bookingdb.lock_people(array(select distinct s.user_id from unnest(v_sessions) as s));

    v_answer := bookingdb.find_earlier_answer(
        'cancel_series', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_reason, p_refund)
    );
    if v_answer.result_id is null then
        -- 2. All of them or none, each by its own terms. The session itself may be over, or have begun, if later ones
        -- are open.
        if cardinality(v_sessions) > 1
            and 'cancel_session' <> all (
                bookingdb.next_actions(v_session, bookingdb.authorise_for_session(v_session))
            ) then
            v_sessions := v_sessions[2:];
        end if;
        foreach v_session in array v_sessions loop
            perform bookingdb.cancel_locked_session(
                v_session, bookingdb.authorise_for_session(v_session), p_reason, p_refund
            );
        end loop;

        -- 3. The answer.
        v_answer.result := bookingdb.series_result(v_sessions);
        perform bookingdb.record_answer(
            v_answer, p_session_id, (v_answer.result -> 0 ->> 'credits_balance')::integer
        );
    end if;
    return query select c.* from bookingdb.changed_series(v_answer.result) as c;
end;
$function$;

comment on function bookingdb.cancel_series(uuid, text, boolean, text) is
'Cancels a session and all later ones of its series that the caller can cancel, each by the terms of cancel_session(): all of them or none. If later ones are left, the session itself may be over, or have begun. Returns them in order, with the client''s balance after all of it. A session without a series is cancelled alone. For the client, the therapist and trusted callers. Raises: not_allowed.';
