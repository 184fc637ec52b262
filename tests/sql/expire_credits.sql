begin;
\ir include/setup.sql
select plan(29);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function('public', 'expire_credits', array[]::text[]);
select function_lang_is('public'::name, 'expire_credits'::name, 'plpgsql'::name);
select function_returns('public'::name, 'expire_credits'::name, 'setof record');
select volatility_is('public'::name, 'expire_credits'::name, 'volatile');
select isnt_definer('public'::name, 'expire_credits'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People, and lots of all sorts, known by their payments; pretends that some have expired since
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (0, bigint '0') $$,
    'at first there is nothing to post'
);
select g.lot_balance
from (
    values
    (pg_temp.client(), 'over', 3, 1),
    (pg_temp.client(), 'spent', 1, 2),
    (pg_temp.client(), 'to come', 5, 90),
    (pg_temp.client(), 'taken back', 7, 4),
    (pg_temp.other_client(), 'other''s', 10, 5)
) as l (user_id, payment, amount, priority)
cross join lateral public.grant_credits(
    l.user_id, l.amount, l.payment, now() + interval '30 days', p_priority => l.priority
) as g;
select g.lot_balance from public.grant_credits(pg_temp.client(), 11, 'for ever') as g;
select r.credits_revoked from public.revoke_grant(p_payment_reference => 'taken back') as r;
-- Of the four credits that come first, one is spent from each of two lots.
select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (values ('1', 1), ('2', 2), ('3', 3), ('4', 4)) as t (title, days);
select c.refunded from public.cancel_session(pg_temp.session('1')) as c;
select c.refunded from public.cancel_session(pg_temp.session('2')) as c;
update public.user_credits as c set expires_at = now() - interval '1 second'
where c.payment_reference in ('over', 'spent', 'taken back', 'other''s');

prepare lots as
select
    c.payment_reference,
    c.status,
    c.credits_balance,
    c.credits_used,
    c.credits_expired
from public.user_credits as c
order by c.payment_reference;
create temporary table before_expiry on commit drop as
select
    pg_temp.written() as written,
    (select max(l.id) from bookingdb.ledger as l) as last_entry,
    (select max(o.id) from bookingdb.outbox as o) as last_event;

select results_eq(
    'lots',
    $$
        values
        ('for ever', 'active', 11, 0, 0), ('other''s', 'active', 10, 0, 0), ('over', 'active', 2, 1, 0),
        ('spent', 'active', 0, 1, 0), ('taken back', 'revoked', 0, 0, 0), ('to come', 'active', 5, 0, 0)
    $$,
    'six lots, four of which have expired'
);
select is(public.get_credit_balance(pg_temp.client()), 16, 'a balance never counts them, posted or not');

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('select public.expire_credits()', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok('select public.expire_credits()', 'PT403', 'Not allowed to act for this user', 'a user');
select pg_temp.claim(pg_temp.therapist());
select throws_ok('select public.expire_credits()', 'PT403', 'Not allowed to act for this user', 'a therapist');
set local role anon;
select throws_ok('select public.expire_credits()', '42501', null, 'nobody without a login');
reset role;
-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before update on public.user_credits for each row execute function pg_temp.swallow();
select throws_ok('select public.expire_credits()', 'XX000', 'Booking failed', 'a change that a trigger swallows');
drop trigger swallow on public.user_credits;
select is(pg_temp.written(), (select b.written from before_expiry as b), 'refusals leave nothing behind');

-- ---------------------------------------------------------------------------------------------------------------------
-- Expiries are posted, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

set local role service_role;
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (3, bigint '12') $$,
    'returns how many lots and credits of all clients'
);
reset role;
select results_eq(
    'lots',
    $$
        values
        ('for ever', 'active', 11, 0, 0), ('other''s', 'expired', 0, 0, 10), ('over', 'expired', 0, 1, 2),
        ('spent', 'expired', 0, 1, 0), ('taken back', 'revoked', 0, 0, 0), ('to come', 'active', 5, 0, 0)
    $$,
    'writes what expired; what was taken back stays so'
);
select results_eq(
    $$
        select c.payment_reference, l.kind, l.amount, l.balance_after, l.user_id, l.session_id, l.actor
        from bookingdb.ledger as l
        inner join public.user_credits as c on c.id = l.lot_id
        where l.id > (select b.last_entry from before_expiry as b)
        order by c.payment_reference
    $$,
    $$
        values
        ('other''s', 'expiry', -10, 0, pg_temp.other_client(), null::uuid, 'service_role'),
        ('over', 'expiry', -2, 0, pg_temp.client(), null, 'service_role')
    $$,
    'writes an entry for each lot in which something was left'
);
select results_eq(
    $$
        select o.event, o.subject_id, o.payload
        from bookingdb.outbox as o
        where o.id > (select b.last_event from before_expiry as b)
        order by o.payload ->> 'amount'
    $$,
    $$
        select
            'credits.expired', c.id,
            jsonb_build_object('lot_id', c.id, 'user_id', c.user_id, 'amount', -c.credits_expired)
        from public.user_credits as c
        where c.credits_expired > 0
        order by c.payment_reference
    $$,
    'and an event'
);
select is(public.get_credit_balance(pg_temp.client()), 16, 'balances stay what they were');
select is(public.get_credit_balance(pg_temp.other_client()), 0, 'everybody''s');
select is(
    (
        select s.balance
        from
            public.get_credit_statement(
                pg_temp.client(), now() - interval '1 day', clock_timestamp()
            ) as s
        where s.kind = 'closing'
    ),
    bigint '16',
    'and the statement says the same now'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Again
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table after_expiry on commit drop as
select pg_temp.written() as written;
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (0, bigint '0') $$,
    'done again it finds nothing'
);
select is(pg_temp.written(), (select a.written from after_expiry as a), 'and writes nothing');
select throws_ok(
    $$ select pg_temp.book('x', pg_temp.other_client(), pg_temp.therapist(), 30) $$,
    'PT402', 'Insufficient credits: purchase credits first', 'what expired cannot be spent'
);
select throws_ok(
    $$
        select public.adjust_credits(
            pg_temp.other_client(), 1, 'r', (
                select c.id from public.user_credits as c where c.payment_reference = 'other''s'
            )
        )
    $$,
    'PT400', 'Invalid parameter', 'nor added to'
);
select results_eq(
    $$ select r.credits_revoked, r.credits_spent from public.revoke_grant(p_payment_reference => 'over') as r $$,
    $$ values (bigint '0', bigint '1') $$,
    'when its payment is taken back there is nothing to take'
);
select c.refunded from public.cancel_session(pg_temp.session('4')) as c;
update public.user_credits as c set expires_at = now() - interval '1 second'
where c.grace_for_lot_id is not null;
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (1, bigint '1') $$,
    'a grace lot expires like any other'
);

-- What others wrote directly is in the way of nobody's expiry.
insert into public.user_credits (user_id, credits_balance, credits_expired, expires_at)
values
(pg_temp.client(), 2000000000, 2000000000, now() - interval '1 second'),
(pg_temp.client(), 2000000000, 0, now() - interval '1 second');
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (2, bigint '4000000000') $$,
    'more than an integer holds'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
