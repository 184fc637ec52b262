create or replace function bookingdb.check_balances()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
begin
    -- Each lot's balance is not negative, its ledger entries sum to it, and the last of them ends with it.
    return query
    select 3, coalesce(c.id, l.lot_id),
        case
            when c.credits_balance < 0 then 'balance is negative'
            else 'ledger and balance differ'
        end,
        jsonb_build_object(
            'user_id', c.user_id, 'balance', c.credits_balance, 'ledger_sum', l.total, 'ledger_last', l.last_balance
        )
    from public.user_credits as c
    full join (
        select e.lot_id, sum(e.amount) as total, (array_agg(e.balance_after order by e.id desc))[1] as last_balance
        from bookingdb.ledger as e
        group by e.lot_id
    ) as l on l.lot_id = c.id
    where c.credits_balance < 0
        or coalesce(c.credits_balance, 0) <> coalesce(l.total, 0)
        or coalesce(c.credits_balance, 0) <> coalesce(l.last_balance, 0);

    -- Nobody could spend these credits. An application may have called a lot expired itself.
    return query
    select 3, c.id, 'credits in a lot that is ' || case c.status when 'used' then 'used up' else 'expired' end,
        jsonb_build_object('user_id', c.user_id, 'credits', c.credits_balance)
    from public.user_credits as c
    left join (
        select distinct e.lot_id
        from bookingdb.ledger as e
        where e.kind = 'expiry'
    ) as x on x.lot_id = c.id
    where c.credits_balance > 0 and (c.status = 'used' or (c.status = 'expired' and x.lot_id is not null));

    -- Each ledger entry begins with the balance that the one before it left.
    return query
    select 3, e.lot_id, 'ledger entries do not chain', jsonb_build_object('entry_id', e.id)
    from (
        select l.id, l.lot_id, l.kind, l.amount, l.balance_after,
            lag(l.balance_after) over (partition by l.lot_id order by l.id) as balance_before
        from bookingdb.ledger as l
    ) as e
    where e.balance_after <> coalesce(e.balance_before, 0)::bigint + e.amount
        -- An opening balance is the lot's first entry.
        or (e.kind = 'opening' and e.balance_before is not null);
end;
$function$;

comment on function bookingdb.check_balances() is
'Invariant 3: returns the lots that are overdrawn, differ from the ledger, or keep credits that nobody can spend, and the ledger entries that do not chain.';
