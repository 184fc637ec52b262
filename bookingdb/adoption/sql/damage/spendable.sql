-- Sums up what each client can spend by bookingdb's count.
select
    c.user_id::text as client,
    coalesce(
        sum(c.credits_balance) filter (
            where c.user_type = 'user' and c.status = 'active' and (c.expires_at is null or c.expires_at > now())
        ),
        0
    )::bigint as balance
from public.user_credits as c
where c.user_id is not null
group by c.user_id::text
