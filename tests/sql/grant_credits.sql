begin;
\ir include/setup.sql
select plan(49);

select has_function(
    'public', 'grant_credits',
    array['uuid', 'integer', 'text', 'timestamp with time zone', 'text', 'text', 'integer']
);
select function_lang_is('public'::name, 'grant_credits'::name, 'plpgsql'::name);
select function_returns('public'::name, 'grant_credits'::name, 'setof record');
select volatility_is('public'::name, 'grant_credits'::name, 'volatile');
select isnt_definer('public'::name, 'grant_credits'::name);

create function pg_temp.last_client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c4';
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select public.register_client('d@client.test', 'D', pg_temp.last_client());
select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');

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
            c.expires_at, c.payment_reference, c.status, c.category, c.priority, c.grace_for_lot_id
        from public.user_credits as c where c.user_id = pg_temp.client()
    $$,
    $$
        select f.lot_id, pg_temp.client(), 'user', 5, 5, 0, 0,
            date_trunc('day', now()) + interval '90 days', 'payment 1', 'active', 'paid', 50,
            null::uuid
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

select lives_ok(
    $$ select public.grant_credits(pg_temp.poor_client(), 1, 'gift', p_category => 'promotional', p_priority => 0) $$,
    'a grant that was not paid, to be spent first'
);
select results_eq(
    $$ select c.category, c.priority from public.user_credits as c where c.payment_reference = 'gift' $$,
    $$ values ('promotional', 0) $$,
    'writes category and priority'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- In which order they are spent. The lots are granted in another one, known by their payments: by priority, then
-- soonest to expire, then promotional before paid, then oldest.
-- ---------------------------------------------------------------------------------------------------------------------

select g.lot_balance
from (
    values
    ('8', 'paid', 100, interval '1 day'),
    ('7', 'paid', 50, null),
    ('6', 'promotional', 50, null),
    ('5', 'paid', 50, interval '60 days'),
    ('4', 'promotional', 50, interval '60 days'),
    ('3', 'paid', 50, interval '30 days'),
    ('2', 'paid', 49, null),
    ('1', 'paid', 0, interval '90 days')
) as l (payment, category, priority, life)
cross join lateral public.grant_credits(
    pg_temp.last_client(), 1, l.payment, now() + l.life, p_category => l.category, p_priority => l.priority
) as g;
-- Two that differ in nothing but their age.
select g.lot_balance from public.grant_credits(pg_temp.last_client(), 1, 'older', p_priority => 60) as g;
select g.lot_balance from public.grant_credits(pg_temp.last_client(), 1, 'newer', p_priority => 60) as g;
update public.user_credits as c set created_at = now() - interval '1 second'
where c.payment_reference = 'older';
select b.credits_balance
from generate_series(1, 10) as d (day)
cross join
    lateral public.create_session_with_credit_deduction(
        pg_temp.last_client(), pg_temp.therapist(), current_date + d.day, '10:00'
    ) as b
order by d.day;
select results_eq(
    $$
        select c.payment_reference
        from bookingdb.ledger as l
        inner join public.user_credits as c on c.id = l.lot_id
        where l.kind = 'debit' and l.user_id = pg_temp.last_client()
        order by l.id
    $$,
    array['1', '2', '3', '4', '5', '6', '7', 'older', 'newer', '8'],
    'by priority, then soonest to expire, then promotional before paid, then oldest'
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
select
    throws_ok(
        format(
            'select public.grant_credits(pg_temp.other_client(), 3, p_idempotency_key => ''a key'', %s => %L)',
            r.parameter, r.value
        ),
        'PT422', 'Idempotency key was used with other parameters', format('or with another %s', r.parameter)
    )
from (values ('p_category', 'promotional'), ('p_priority', '49')) as r (parameter, value);
select lives_ok(
    $$
        select public.grant_credits(
            pg_temp.other_client(), 3, p_idempotency_key => 'a key', p_category => 'paid', p_priority => 50
        )
    $$,
    'what is said by default may be said'
);
create temporary table dated_answer on commit drop as
select g.lot_id
from public.grant_credits(
    pg_temp.other_client(), 1, null, '2100-02-01 00:00+00', 'a dated key', 'promotional', 7
) as g;
set local timezone = 'America/New_York';
set local datestyle = 'SQL, DMY';
select results_eq(
    $$
        select g.lot_id
        from public.grant_credits(
            pg_temp.other_client(), 1, null, '2100-02-01 00:00+00', 'a dated key', 'promotional', 7
        ) as g
    $$,
    'select d.lot_id from dated_answer as d',
    'a key is recognised whatever the connection''s TimeZone and DateStyle are'
);
set local timezone = 'Pacific/Chatham';
set local datestyle = 'ISO, MDY';
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
select
    throws_ok(
        format(
            'select public.grant_credits(pg_temp.client(), 1, p_category => %L, p_priority => %L)',
            r.category, r.priority
        ),
        'PT400', 'Invalid parameter', r.name
    )
from (
    values
    (null, 50, 'no category'),
    ('gift', 50, 'another category'),
    ('Paid', 50, 'a category that is written differently'),
    ('paid', null, 'no priority'),
    ('paid', -1, 'a priority of -1'),
    ('paid', 101, 'a priority of 101')
) as r (category, priority, name);

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
