create or replace function bookingdb.change_status(
    p_session_id uuid,
    p_status text,
    p_function_name text,
    p_idempotency_key text
)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    v_session := bookingdb.lock_session(p_session_id);
    -- The client does not decide what becomes of a session.
    if bookingdb.authorise_for_session(v_session) = 'client' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', v_session.id));
    end if;

    if p_idempotency_key is not null then
        -- Keys belong to the client: another of their sessions may be using the same key at this moment.
        perform bookingdb.lock_people(array[v_session.user_id]);
        v_answer := bookingdb.find_earlier_answer(
            p_function_name, coalesce(v_session.user_id, v_session.id), p_idempotency_key,
            jsonb_build_array(p_session_id)
        );
        if v_answer.result_id is not null then
            return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
        end if;
    end if;

    perform bookingdb.require_transition(v_session, p_status);
    if not bookingdb.occupies_time(p_status) then
        delete from bookingdb.calendar as c
        where c.id = v_session.id and c.kind = 'session';
    end if;
    update public.sessions as s
    set status = p_status,
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

comment on function bookingdb.change_status(uuid, text, text, text) is
'Sets a session''s status, for its therapist and trusted callers, if the table of transitions allows it. Credits stay as they are. Raises: not_allowed.';
