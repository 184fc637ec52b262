begin;
\ir include/setup.sql
select plan(36);

select has_function(
    'public', 'grant_credits',
    array['uuid', 'integer', 'text', 'timestamp with time zone', 'text']
);
select function_lang_is('public'::name, 'grant_credits'::name, 'plpgsql'::name);
select function_returns('public'::name, 'grant_credits'::name, 'setof record');
select volatility_is('public'::name, 'grant_credits'::name, 'volatile');
select isnt_definer('public'::name, 'grant_credits'::name);

select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist());

-- ---------------------------------------------------------------------------------------------------------------------
-- A grant, and everything it writes
-- ---------------------------------------------------------------------------------------------------------------------

prepare bought as
select
    g.lot_id,
    g.lot_balance,
    g.credits_balance
from public.grant_credits(pg_temp.client(), 5, 'payment 1', date_trunc('day', now()) + interval '90 days') as g;

create temporary table first_answer on commit drop as
select
    g.lot_id,
    g.lot_balance,
    g.credits_balance
from public.grant_credits(pg_temp.client(), 5, 'payment 1', date_trunc('day', now()) + interval '90 days') as g;

select results_eq(
    'select f.lot_balance, f.credits_balance from first_answer as f', 'values (5, 5)', 'returns the lot and the total'
);
select results_eq(
    $$
        select c.id, c.user_id, c.user_type, c.credits_balance, c.credits_purchased, c.credits_used, c.credits_expired,
            c.expires_at, c.payment_reference, c.status
        from public.user_credits as c where c.user_id = pg_temp.client()
    $$,
    $$
        select f.lot_id, pg_temp.client(), 'user', 5, 5, 0, 0,
            date_trunc('day', now()) + interval '90 days', 'payment 1', 'active'
        from first_answer as f
    $$,
    'writes the lot'
);
select results_eq(
    $$
        select l.lot_id, l.session_id, l.kind, l.amount, l.balance_after
        from bookingdb.ledger as l where l.user_id = pg_temp.client()
    $$,
    $$ select f.lot_id, null::uuid, 'grant', 5, 5 from first_answer as f $$,
    'writes one ledger entry'
);
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o where o.payload ->> 'user_id' = pg_temp.client()::text
    $$,
    $$ select 'credits.granted', f.lot_id from first_answer as f $$,
    'writes one event'
);
select results_eq(
    $$ select g.lot_balance, g.credits_balance from public.grant_credits(pg_temp.client(), 2) as g $$,
    'values (2, 7)',
    'a second grant is a second lot'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- The same payment, the same key
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    'execute bought', 'select f.lot_id, 5, 7 from first_answer as f', 'the same payment again is the same lot'
);
select throws_ok(
    $$ select public.grant_credits(pg_temp.client(), 6, 'payment 1') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same payment with another amount'
);
select throws_ok(
    $$ select public.grant_credits(pg_temp.other_client(), 5, 'payment 1') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same payment of another client'
);

prepare keyed (integer) as
select
    g.lot_id,
    g.credits_balance
from public.grant_credits(pg_temp.other_client(), $1, p_idempotency_key => 'a key') as g;

create temporary table keyed_answer on commit drop as
select
    g.lot_id,
    g.credits_balance
from public.grant_credits(pg_temp.other_client(), 3, p_idempotency_key => 'a key') as g;
select results_eq('execute keyed(3)', 'select k.* from keyed_answer as k', 'the same key again is the same lot');
select is(public.get_credit_balance(pg_temp.other_client()), 3, 'and no more credits');
select throws_ok(
    'execute keyed(4)', 'PT422', 'Idempotency key was used with other parameters', 'the same key with another amount'
);
select lives_ok(
    $$ select public.grant_credits(pg_temp.client(), 3, p_idempotency_key => 'a key') $$,
    'the same key of another client is another'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select
    (select count(*) from public.user_credits) as lots,
    (select count(*) from bookingdb.ledger) as entries,
    (select count(*) from bookingdb.outbox) as events;

select
    throws_ok(
        format('select public.grant_credits(%L, %L, %L, %L, %L)', r.user_id, r.amount, r.payment, r.expires_at, r.key),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, 1, null, null, null, 'PT400', 'Invalid user ID format', 'no user'),
    (pg_temp.client(), null, null, null, null, 'PT400', 'Invalid parameter', 'no amount'),
    (pg_temp.client(), 0, null, null, null, 'PT400', 'Invalid parameter', 'an amount of 0'),
    (pg_temp.client(), -1, null, null, null, 'PT400', 'Invalid parameter', 'an amount of -1'),
    (pg_temp.client(), 10001, null, null, null, 'PT400', 'Invalid parameter', 'an amount of 10001'),
    (pg_temp.client(), 1, '', null, null, 'PT400', 'Invalid parameter', 'an empty payment reference'),
    (
        pg_temp.client(), 1, repeat('p', 256), null, null,
        'PT400', 'Invalid parameter', 'a payment reference of 256 characters'
    ),
    (pg_temp.client(), 1, null, now(), null, 'PT400', 'Invalid parameter', 'an expiry that has come'),
    (pg_temp.client(), 1, null, 'infinity', null, 'PT400', 'Invalid parameter', 'an expiry that never comes'),
    (pg_temp.client(), 1, null, null, '', 'PT400', 'Invalid parameter', 'an empty key'),
    (pg_temp.client(), 1, null, null, repeat('k', 256), 'PT400', 'Invalid parameter', 'a key of 256 characters'),
    (pg_temp.stranger(), 1, null, null, null, 'PT404', 'User not found', 'a user that nobody knows'),
    (pg_temp.therapist(), 1, null, null, null, 'PT404', 'User not found', 'a therapist')
) as r (user_id, amount, payment, expires_at, key, sqlstate, message, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select throws_ok($$ select public.grant_credits(pg_temp.client(), 1) $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ select public.grant_credits(pg_temp.client(), 1) $$,
    'PT403', 'Not allowed to act for this user', 'a user, even for itself'
);
set local role anon;
select throws_ok($$ select public.grant_credits(pg_temp.client(), 1) $$, '42501', null, 'nobody without a login');
reset role;
select results_eq(
    $$
        select
            (select count(*) from public.user_credits),
            (select count(*) from bookingdb.ledger),
            (select count(*) from bookingdb.outbox)
    $$,
    'select b.* from before_refusals as b',
    'refusals leave nothing behind'
);
set local role service_role;
select lives_ok($$ select public.grant_credits(pg_temp.client(), 1) $$, 'the application''s own server');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
