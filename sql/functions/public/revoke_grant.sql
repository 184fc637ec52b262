create or replace function public.revoke_grant(
    p_lot_id uuid default null,
    p_payment_reference text default null,
    p_reason text default null
)
returns table (
    lot_id uuid,
    credits_revoked bigint,
    credits_spent bigint,
    credits_balance integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.lot_id, r.credits_revoked, r.credits_spent, r.credits_balance
    from bookingdb.revoke_grant(p_lot_id, p_payment_reference, p_reason) as r;
end;
$function$;

comment on function public.revoke_grant(uuid, text, text) is
'Takes back what is left of a lot, named by its id or its payment''s reference (a chargeback), and reports how much that was and how much had been spent. Idempotent. For trusted callers. Errors: docs/errors.md.';
