create or replace function public.get_credit_balance(p_user_id uuid)
returns integer
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.get_credit_balance(p_user_id);
end;
$function$;

comment on function public.get_credit_balance(uuid) is
'The credits a client can spend now. For the user itself and for trusted callers. Errors: docs/errors.md.';
