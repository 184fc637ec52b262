-- Gives lots below zero as empty, and those that pay for them, in the order in which lots are spent.
with owed as (
    select
        c.user_id,
        -sum(c.credits_balance) as debt
    from public.user_credits as c
    where c.credits_balance < 0 and not :is_over
    group by c.user_id
),

paying as (
    select
        c.id,
        c.credits_balance,
        o.debt,
        coalesce(
            sum(c.credits_balance) over (
                partition by c.user_id
                order by :spending_order
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as paid_before
    from public.user_credits as c
    inner join owed as o on c.user_id = o.user_id
    where c.credits_balance > 0 and :spendable
)

select
    c.id,
    0 as credits_balance
from public.user_credits as c
where c.credits_balance < 0
union all
select
    p.id,
    greatest(p.credits_balance - (p.debt - p.paid_before), 0)::integer as credits_balance
from paying as p
where p.paid_before < p.debt
