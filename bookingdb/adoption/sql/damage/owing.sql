-- Sums up, for each client with a lot below zero, all of their lots, and those above zero.
select
    c.user_id::text as client,
    sum(c.credits_balance)::bigint as balance,
    coalesce(sum(c.credits_balance) filter (where c.credits_balance > 0), 0)::bigint as above_zero
from public.user_credits as c
where c.user_id is not null
group by c.user_id::text
having min(c.credits_balance) < 0
order by c.user_id::text
