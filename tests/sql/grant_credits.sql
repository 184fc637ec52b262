-- grant_credits(): give a client credits as one lot; the same payment never grants twice.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    grant_credits(
        p_user_id uuid, p_amount integer, p_payment_reference text default null,
        p_expires_at timestamptz default null, p_idempotency_key text default null, p_category text default 'paid',
        p_priority integer default 50, p_expires_on date default null
    )
    returns table (lot_id uuid, lot_balance integer, credits_balance integer, is_new boolean)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('grant_credits', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select g.lot_balance, g.credits_balance, g.is_new
        from public.grant_credits(pg_temp.client(), 3, 'payment 2', pg_temp.at('00:00', 90)) as g
    $$,
    'values (3, 8, true)',
    'a trusted caller grants 3 credits to a client who has 5'
);
select results_eq(
    $$
        select g.lot_balance, g.credits_balance, g.is_new
        from public.grant_credits(pg_temp.client(), 3, 'payment 2', pg_temp.at('01:00', 90)) as g
    $$,
    'values (3, 8, false)',
    'the same payment again is the same lot, whatever its expiry'
);
reset role;
select results_eq(
    $$
        select c.user_id, c.credits_balance, c.credits_purchased, c.expires_at, c.status, c.category, c.priority
        from public.user_credits as c where c.payment_reference = 'payment 2'
    $$,
    $$ values (pg_temp.client(), 3, 3, pg_temp.at('00:00', 90), 'active', 'paid', 50) $$,
    'the lot is written'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.actor
        from bookingdb.ledger as l inner join public.user_credits as c on l.lot_id = c.id
        where c.payment_reference = 'payment 2'
    $$,
    $$ values ('grant', 3, 3, 'service_role') $$,
    'the ledger has one entry'
);
select is(
    (
        select pg_temp.events(c.id) from public.user_credits as c
        where c.payment_reference = 'payment 2'
    ),
    array['credits.granted'], 'one event tells of it'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.grant_credits(pg_temp.client(), 4, ''payment 2'')') as e
    $$,
    $$ values ('PT422', 'Idempotency key was used with other parameters', 'idempotency_key_reused') $$,
    'the same payment does not grant another amount'
);
select pg_temp.act_as('service_role');
select r.credits_revoked from public.revoke_grant(p_payment_reference => 'payment 2') as r;
reset role;
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.grant_credits(pg_temp.client(), 3, ''payment 2'')') as e
    $$,
    $$ values ('PT409', 'Payment was revoked', 'grant_revoked') $$,
    'a payment that was revoked does not grant again'
);

select * from finish();
rollback;
