create or replace function public.adjust_credits(
    p_user_id uuid,
    p_amount integer,
    p_reason text,
    p_lot_id uuid default null,
    p_idempotency_key text default null
)
returns table (
    lot_id uuid,
    lot_balance integer,
    credits_balance integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select g.lot_id, g.lot_balance, g.credits_balance
    from bookingdb.adjust_credits(p_user_id, p_amount, p_reason, p_lot_id, p_idempotency_key) as g;
end;
$function$;

comment on function public.adjust_credits(uuid, integer, text, uuid, text) is
'Adds p_amount credits to a client''s lot (without p_lot_id to a new one) or, when it is negative, takes them away (without p_lot_id in the order in which they would be spent). The ledger keeps p_reason. For trusted callers. Errors: docs/errors.md.';
