-- Opens the ledger of every lot that has a balance; what belongs to nobody who is known, under an id of zeros.
insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
select
    coalesce(c.user_id, '00000000-0000-0000-0000-000000000000') as user_id,
    c.id as lot_id,
    'opening' as kind,
    c.credits_balance as amount,
    c.credits_balance as balance_after,
    'adoption' as actor
from public.user_credits as c
where c.credits_balance > 0
order by c.created_at, c.id
