create or replace function bookingdb.find_answer(p_function_name text, p_user_id uuid, p_key text, p_request_hash bytea)
returns bookingdb.idempotency_keys
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_answer bookingdb.idempotency_keys;
begin
    select k.*
    into v_answer
    from bookingdb.idempotency_keys as k
    where k.function_name = p_function_name and k.user_id = p_user_id and k.key = p_key;

    if v_answer.request_hash <> p_request_hash then
        perform bookingdb.raise_error('idempotency_key_reused');
    end if;
    return v_answer;
end;
$function$;

comment on function bookingdb.find_answer(text, uuid, text, bytea) is
'The form of find_earlier_answer() in the version before, for calls that began before the upgrade. The next version drops it. Raises: idempotency_key_reused.';
