create or replace function bookingdb.find_earlier_answer(
    p_function_name text,
    p_user_id uuid,
    p_key text,
    p_request jsonb
)
returns bookingdb.idempotency_keys
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
begin
    if p_key is null then
        return null;
    end if;
    v_request_hash := bookingdb.request_hash(p_request);
    select k.*
    into v_answer
    from bookingdb.idempotency_keys as k
    where k.function_name = p_function_name and k.user_id = p_user_id and k.key = p_key;

    if v_answer.request_hash <> v_request_hash then
        perform bookingdb.raise_error('idempotency_key_reused');
    end if;
    -- What somebody had who was merged is another person's, and their old login reads none of it.
    if v_answer.key is not null and not bookingdb.caller_is_trusted() then
        if exists (select from bookingdb.merged_people as m where m.from_user_id = bookingdb.actor_id()) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', bookingdb.actor_id()));
        end if;
    end if;
    v_answer.function_name := p_function_name;
    v_answer.user_id := p_user_id;
    v_answer.key := p_key;
    v_answer.request_hash := v_request_hash;
    return v_answer;
end;
$function$;

comment on function bookingdb.find_earlier_answer(text, uuid, text, jsonb) is
'Returns what was answered to this idempotency key before, or a row of NULLs. Caller holds: the client''s lock, or asks again under it. Raises: idempotency_key_reused, user_not_found.';
