create or replace function bookingdb.post_expiry(p_lot public.user_credits)
returns public.user_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits := p_lot;
begin
    -- Nothing expires in a lot whose time stands still, or that somebody called something else.
    if p_lot.status <> 'active' or p_lot.expires_at is null or p_lot.expires_at > clock_timestamp() then
        return p_lot;
    end if;

    if p_lot.credits_balance > 0 then
        insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
        values (p_lot.user_id, p_lot.id, 'expiry', -p_lot.credits_balance, 0, bookingdb.actor());
    end if;
    update public.user_credits as c
    set credits_balance = 0,
        -- Capped at what an integer holds: one lot that was written directly must not stop expire_credits().
        credits_expired = least(c.credits_expired::bigint + p_lot.credits_balance, 2147483647),
        status = 'expired',
        updated_at = now()
    where c.id = p_lot.id
    returning c.*
    into v_lot;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    if p_lot.credits_balance > 0 then
        perform bookingdb.write_credits_event(
            'credits.expired', p_lot.user_id, p_lot.id, -p_lot.credits_balance::integer
        );
    end if;
    return v_lot;
end;
$function$;

comment on function bookingdb.post_expiry(public.user_credits) is
'Posts what is left of a lot that is over as expired, before anything else happens to it, and returns it as it is then. Caller holds: its lock.';
