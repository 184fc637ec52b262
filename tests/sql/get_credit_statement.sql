begin;
\ir include/setup.sql
select plan(42);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'get_credit_statement',
    array['uuid', 'timestamp with time zone', 'timestamp with time zone']
);
select function_lang_is('public'::name, 'get_credit_statement'::name, 'plpgsql'::name);
select function_returns('public'::name, 'get_credit_statement'::name, 'setof record');
select volatility_is('public'::name, 'get_credit_statement'::name, 'stable');
select isnt_definer('public'::name, 'get_credit_statement'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People, and everything that can happen to credits, in three periods: mark 0 is before all of it, 1 after what
-- happened first, 2 after what happened then, 3 after the rest.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
create temporary table marks (number, instant) on commit drop as
select
    0 as number,
    clock_timestamp() as instant;
create function pg_temp.mark(p_number integer) returns timestamptz language plpgsql stable security definer
as $function$
begin
    return (select m.instant from marks as m where m.number = p_number);
end;
$function$;

select g.lot_balance from public.grant_credits(pg_temp.client(), 3, 'first', p_priority => 1) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 100) as g;
select pg_temp.book('1', pg_temp.client(), pg_temp.therapist(), 30);
insert into marks
values (1, clock_timestamp());

select g.lot_balance from public.grant_credits(pg_temp.client(), 4, 'second') as g;
select pg_temp.book('2', pg_temp.client(), pg_temp.therapist(), 31);
select pg_temp.book('others', pg_temp.other_client(), pg_temp.therapist(), 33);
select c.refunded from public.cancel_session(pg_temp.session('1')) as c;
select a.lot_balance from public.adjust_credits(pg_temp.client(), 2, 'sorry') as a;
insert into marks
values (2, clock_timestamp());

update public.user_credits as c set expires_at = now() - interval '1 second'
where c.payment_reference = 'first';
select e.credits from public.expire_credits() as e;
select c.refunded from public.cancel_session(pg_temp.session('2')) as c;
select r.credits_revoked from public.revoke_grant(p_payment_reference => 'second', p_reason => 'chargeback') as r;
update public.user_credits as c set credits_balance = 10
where c.user_id = pg_temp.client() and c.payment_reference is null and c.grace_for_lot_id is null;
insert into marks
values (3, clock_timestamp());

create function pg_temp.lot(p_payment text) returns uuid language plpgsql stable security definer as $function$
begin
    return (select c.id from public.user_credits as c where c.payment_reference = p_payment);
end;
$function$;

-- The statement from one mark to another.
prepare statement (integer, integer) as
select
    s.kind,
    s.amount,
    s.balance
from public.get_credit_statement(pg_temp.client(), pg_temp.mark($1), pg_temp.mark($2)) as s;

-- ---------------------------------------------------------------------------------------------------------------------
-- A statement
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$
        select s.kind, s.amount, s.balance, s.lot_id, s.session_id, s.reason, s.actor
        from public.get_credit_statement(pg_temp.client(), pg_temp.mark(1), pg_temp.mark(2)) as s
    $$,
    format(
        $$
            select e.kind, e.amount, e.balance, e.lot_id, e.session_id, e.reason, e.actor
            from (
                values
                ('opening', null::integer, bigint '2', null::uuid, null::uuid, null::text, null::text),
                ('grant', 4, 6, pg_temp.lot('second'), null, null, %1$L),
                ('debit', -1, 5, pg_temp.lot('first'), pg_temp.session('2'), null, %1$L),
                ('refund', 1, 6, pg_temp.lot('first'), pg_temp.session('1'), null, %1$L),
                ('adjustment', 2, 8, (
                    select c.id from public.user_credits as c
                    where c.payment_reference is null and c.grace_for_lot_id is null
                ), null, 'sorry', %1$L),
                ('closing', null, 8, null, null, null, null)
            ) as e (kind, amount, balance, lot_id, session_id, reason, actor)
        $$,
        session_user
    ),
    'opening balance, the entries in order with lot, session and reason, and the balance after each, closing balance'
);
reset role;
select results_eq(
    $$
        select s.entry_id, s.created_at
        from public.get_credit_statement(pg_temp.client(), pg_temp.mark(1), pg_temp.mark(2)) as s
    $$,
    $$
        select e.entry_id, e.created_at
        from (
            select null::bigint as entry_id, pg_temp.mark(1) as created_at, 1 as part
            union all
            select l.id, l.created_at, 2
            from bookingdb.ledger as l
            where l.user_id = pg_temp.client() and l.created_at between pg_temp.mark(1) and pg_temp.mark(2)
            union all
            select null, pg_temp.mark(2), 3
        ) as e
        order by e.part, e.entry_id
    $$,
    'the entries are those of the ledger; the balances stand at the ends of the period'
);
select results_eq(
    'execute statement(2, 3)',
    $$
        values
        ('opening', null::integer, bigint '8'), ('expiry', -2, 6), ('refund', 1, 7), ('revocation', -4, 3),
        ('direct', 8, 11), ('closing', null, 11)
    $$,
    'expiries, refunds in grace lots, what was taken back and what was written directly are in it'
);
select is(public.get_credit_balance(pg_temp.client()), 11, 'it closes with the balance of the moment');
select results_eq(
    'execute statement(0, 1)',
    $$ values ('opening', null::integer, bigint '0'), ('grant', 3, 3), ('debit', -1, 2), ('closing', null, 2) $$,
    'the first one opens with nothing'
);
select results_eq(
    'execute statement(3, 3)',
    $$ values ('opening', null::integer, bigint '11'), ('closing', null, 11) $$,
    'a period of no length has no entries'
);
select results_eq(
    $$
        select s.kind, s.balance
        from public.get_credit_statement(pg_temp.client(), '2000-01-01', '2000-02-01') as s
    $$,
    $$ values ('opening', bigint '0'), ('closing', 0) $$,
    'nor has one before all of it'
);
select results_eq(
    $$
        select s.kind, s.balance
        from public.get_credit_statement(pg_temp.client(), '2999-01-01', '2999-02-01') as s
    $$,
    $$ values ('opening', bigint '11'), ('closing', 11) $$,
    'or after it'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- It adds up
-- ---------------------------------------------------------------------------------------------------------------------

select
    is(
        (
            select
                sum(s.amount) + max(s.balance) filter (where s.kind = 'opening')
                - max(s.balance) filter (where s.kind = 'closing')
            from public.get_credit_statement(pg_temp.client(), pg_temp.mark(p.since), pg_temp.mark(p.until)) as s
        ),
        0::bigint,
        format('from mark %s to mark %s', p.since, p.until)
    )
from (values (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)) as p (since, until);
select is_empty(
    $$
        select s.*
        from (
            select e.kind, e.amount, e.balance, lag(e.balance) over (order by e.number) as balance_before
            from public.get_credit_statement(pg_temp.client(), pg_temp.mark(0), pg_temp.mark(3))
            with ordinality as e (
                entry_id, created_at, kind, amount, balance, lot_id, session_id, reason, actor, number
            )
        ) as s
        where s.balance <> s.balance_before + coalesce(s.amount, 0)
    $$,
    'line by line'
);
select results_eq(
    $$
        select s.kind
        from bookingdb.ledger as l
        cross join lateral public.get_credit_statement(pg_temp.client(), l.created_at, pg_temp.mark(2)) as s
        where l.user_id = pg_temp.client() and l.kind = 'refund' and l.session_id = pg_temp.session('1')
    $$,
    array['opening', 'refund', 'adjustment', 'closing'],
    'an entry of the instant at which a period begins belongs to it'
);
select results_eq(
    $$
        select s.kind
        from bookingdb.ledger as l
        cross join lateral public.get_credit_statement(pg_temp.client(), pg_temp.mark(1), l.created_at) as s
        where l.user_id = pg_temp.client() and l.kind = 'refund' and l.session_id = pg_temp.session('1')
    $$,
    array['opening', 'grant', 'debit', 'closing'],
    'one of the instant at which it ends to the next'
);

-- What expired counts in the statement until expire_credits() posts that; it never counts in the balance.
select g.lot_balance from public.grant_credits(pg_temp.client(), 6, 'fourth') as g;
update public.user_credits as c set expires_at = now() - interval '1 second'
where c.payment_reference = 'fourth';
prepare closing as
select s.balance
from public.get_credit_statement(pg_temp.client(), pg_temp.mark(3), clock_timestamp()) as s
where s.kind = 'closing';
select results_eq('closing', array[bigint '17'], 'an expiry that was not posted yet');
select is(public.get_credit_balance(pg_temp.client()), 11, 'is none for the balance');
select e.credits from public.expire_credits() as e;
select results_eq('closing', array[bigint '11'], 'once it was posted, both say the same');

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format('select public.get_credit_statement(%L, %L, %L)', r.user_id, r.since, r.until),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, '2030-01-01', '2030-02-01', 'PT400', 'Invalid user ID format', 'no user'),
    (pg_temp.client(), null, '2030-02-01', 'PT400', 'Invalid parameter', 'no beginning'),
    (pg_temp.client(), '2030-01-01', null, 'PT400', 'Invalid parameter', 'no end'),
    (pg_temp.client(), '-infinity', '2030-02-01', 'PT400', 'Invalid parameter', 'since ever'),
    (pg_temp.client(), '2030-01-01', 'infinity', 'PT400', 'Invalid parameter', 'for ever'),
    (pg_temp.client(), '2030-02-01', '2030-01-01', 'PT400', 'Invalid parameter', 'an end before the beginning'),
    (pg_temp.stranger(), '2030-01-01', '2030-02-01', 'PT404', 'User not found', 'a user that nobody knows'),
    (pg_temp.therapist(), '2030-01-01', '2030-02-01', 'PT404', 'User not found', 'a therapist')
) as r (user_id, since, until, sqlstate, message, name);
select results_eq(
    $$
        select
            pg_temp.detail_of(
                format('select public.get_credit_statement(pg_temp.client(), %s)', r.period)
            ) ->> 'parameter'
        from (values (1, 'null, now()'), (2, 'now(), null')) as r (number, period) order by r.number
    $$,
    array['p_from', 'p_to'],
    'the error names the parameter'
);
update public.users as u set is_active = false
where u.id = pg_temp.client();
select lives_ok('execute statement(0, 3)', 'a client who was deactivated keeps its statements');

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('execute statement(0, 3)', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_client());
select throws_ok('execute statement(0, 3)', 'PT403', 'Not allowed to act for this user', 'a user about another user');
select pg_temp.claim(pg_temp.therapist());
select throws_ok('execute statement(0, 3)', 'PT403', 'Not allowed to act for this user', 'a therapist about a client');
set local role anon;
select throws_ok('execute statement(0, 3)', '42501', null, 'nobody without a login');
set local role service_role;
select lives_ok('execute statement(0, 3)', 'the application''s own server');
reset role;

-- Lots that were written directly sum to more than an integer holds.
insert into public.user_credits (user_id, credits_balance)
values (pg_temp.other_client(), 2147483647), (pg_temp.other_client(), 2147483647);
select results_eq(
    $$
        select s.kind, s.balance
        from public.get_credit_statement(pg_temp.other_client(), '2000-01-01', '2100-01-01') as s
        where s.kind in ('direct', 'closing')
    $$,
    $$ values ('direct', bigint '2147483746'), ('direct', 4294967393), ('closing', 4294967393) $$,
    'a balance is as long as it must be'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
