create or replace function bookingdb.remember_answer(
    p_function_name text,
    p_user_id uuid,
    p_key text,
    p_request_hash bytea,
    p_result_id uuid,
    p_credits_balance integer
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_key is null then
        return;
    end if;
    insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id, credits_balance)
    values (p_function_name, p_user_id, p_key, p_request_hash, p_result_id, p_credits_balance)
    -- Under the lock nobody else's is there, but REPEATABLE READ may hide one: Postgres then raises its own 40001.
    on conflict do nothing;
end;
$function$;

comment on function bookingdb.remember_answer(text, uuid, text, bytea, uuid, integer) is
'The form of record_answer() in the version before, for calls that began before the upgrade. The next version drops it.';
