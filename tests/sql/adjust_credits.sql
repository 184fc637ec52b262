-- adjust_credits(): put a client's credits right, with a reason.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    adjust_credits(
        p_user_id uuid, p_amount integer, p_reason text, p_lot_id uuid default null,
        p_idempotency_key text default null
    )
    returns table (lot_id uuid, lot_balance integer, credits_balance integer, is_new boolean)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('adjust_credits', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), -2, 'counted twice') as a
    $$,
    'values (3, 3)',
    'a trusted caller takes 2 of 5 credits away'
);
select results_eq(
    $$
        select a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), 1, 'the heating failed') as a
    $$,
    'values (1, 4)',
    'and adds one, which is a new lot'
);
reset role;
select results_eq(
    'select c.credits_balance, c.credits_purchased from public.user_credits as c order by c.credits_purchased desc',
    'values (3, 5), (1, 1)',
    'what was bought stays what it was'
);
select results_eq(
    $$
        select l.amount, l.balance_after, l.reason, l.actor
        from bookingdb.ledger as l where l.kind = 'adjustment' order by l.id
    $$,
    $$ values (-2, 3, 'counted twice', 'service_role'), (1, 1, 'the heating failed', 'service_role') $$,
    'the ledger has an entry for each, with the reason'
);
select results_eq(
    $$ select o.payload -> 'amount' from bookingdb.outbox as o where o.event = 'credits.adjusted' order by o.id $$,
    $$ values (jsonb '-2'), ('1') $$,
    'an event tells of each'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.adjust_credits(pg_temp.client(), -5, ''too many'')') as e $$,
    $$
        values (
            'PT402', 'Insufficient credits: purchase credits first',
            jsonb '{"code": "insufficient_credits", "credits_balance": 4, "lot_id": null}'
        )
    $$,
    'more than the client has is not taken'
);

select * from finish();
rollback;
