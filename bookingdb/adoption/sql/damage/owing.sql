-- Sums up, for clients with a lot below zero or one that cannot be spent, their lots: as they are, and with each
-- answer.
with lots as (
    select
        c.user_id::text as client,
        (:spendable) is true as is_spendable,
        coalesce(c.credits_balance, 0) as balance,
        coalesce(s.credits_balance, c.credits_balance, 0) as settled,
        greatest(c.credits_balance, 0) as above_zero
    from public.user_credits as c
    left join (:settled) as s on c.id = s.id
    where c.user_id is not null
)

select
    l.client,
    min(l.balance) < 0 as is_owing,
    sum(l.balance)::bigint as total,
    sum(l.settled)::bigint as settled_total,
    sum(l.above_zero)::bigint as zero_total,
    coalesce(sum(l.balance) filter (where l.is_spendable), 0)::bigint as spendable,
    coalesce(sum(l.settled) filter (where l.is_spendable), 0)::bigint as settled_spendable,
    coalesce(sum(l.above_zero) filter (where l.is_spendable), 0)::bigint as zero_spendable
from lots as l
group by l.client
having bool_or(l.balance < 0 or (l.balance > 0 and not l.is_spendable))
order by l.client
