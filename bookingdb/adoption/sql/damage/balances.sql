-- Sums up what is left in the lots of each client.
select
    c.user_id::text as client,
    sum(c.credits_balance)::bigint as balance
from public.user_credits as c
where c.user_id is not null
group by c.user_id::text
order by c.user_id::text
