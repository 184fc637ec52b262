create or replace function public.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text default null,
    p_expires_at timestamptz default null,
    p_idempotency_key text default null,
    p_category text default 'paid',
    p_priority integer default 50
)
returns table (lot_id uuid, lot_balance integer, credits_balance integer)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select g.lot_id, g.lot_balance, g.credits_balance
    from bookingdb.grant_credits(
        p_user_id, p_amount, p_payment_reference, p_expires_at, p_idempotency_key, p_category, p_priority
    ) as g;
end;
$function$;

comment on function public.grant_credits(uuid, integer, text, timestamptz, text, text, integer) is
'Gives a client p_amount (1 to 10000) credits as one lot, which expires at p_expires_at or never; returns the lot''s id, what is in it, and the client''s total. The same payment reference, or the same idempotency key, never grants twice: it returns the same lot. Lots of a lower p_priority (0 to 100) are spent first, of these the soonest to expire, then those of p_category promotional before paid. For trusted callers. Errors: docs/errors.md.';
