-- Public.
create or replace function bookingdb.get_credit_balance(p_user_id uuid)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    perform bookingdb.require_credit_account(p_user_id);
    return bookingdb.credits_balance(p_user_id);
end;
$function$;

comment on function bookingdb.get_credit_balance(uuid) is
'Returns the credits a client can spend now. For the user themselves and for trusted callers.';
