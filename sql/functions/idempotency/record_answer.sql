create or replace function bookingdb.record_answer(
    p_answer bookingdb.idempotency_keys,
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
    if p_answer.key is null then
        return;
    end if;
    insert into bookingdb.idempotency_keys (
        function_name, user_id, key, request_hash, result_id, credits_balance, result
    )
    values (
        p_answer.function_name, p_answer.user_id, p_answer.key, p_answer.request_hash, p_result_id, p_credits_balance,
        p_answer.result
    )
    -- Under the lock nobody else writes this key. REPEATABLE READ may hide an earlier answer: Postgres then raises its
    -- own 40001.
    on conflict do nothing;
end;
$function$;

comment on function bookingdb.record_answer(bookingdb.idempotency_keys, uuid, integer) is
'Keeps what was answered to an idempotency key, for find_earlier_answer(). Does nothing without a key. Caller holds: the client''s lock.';
