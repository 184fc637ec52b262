create or replace function public.expire_credits()
returns table (
    lots integer,
    credits bigint
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select e.lots, e.credits
    from bookingdb.expire_credits() as e;
end;
$function$;

comment on function public.expire_credits() is
'Posts what is left of expired lots to the ledger; returns how many lots and credits. Idempotent, for a scheduled job; no balance depends on when it runs. For trusted callers. Errors: docs/errors.md.';
