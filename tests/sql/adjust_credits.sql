begin;
\ir include/setup.sql
select plan(75);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'adjust_credits',
    array['uuid', 'integer', 'text', 'uuid', 'text']
);
select function_lang_is('public'::name, 'adjust_credits'::name, 'plpgsql'::name);
select function_returns('public'::name, 'adjust_credits'::name, 'setof record');
select volatility_is('public'::name, 'adjust_credits'::name, 'volatile');
select isnt_definer('public'::name, 'adjust_credits'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People. Lots are known by their payments.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance
from (
    values
    ('never', 5, null, 'paid', 50),
    ('later', 4, interval '90 days', 'paid', 50),
    ('soon', 3, interval '30 days', 'paid', 50),
    ('soon, for nothing', 2, interval '30 days', 'promotional', 50),
    ('last', 6, interval '10 days', 'promotional', 90)
) as l (payment, amount, life, category, priority)
cross join lateral public.grant_credits(
    pg_temp.client(), l.amount, l.payment, now() + l.life, p_category => l.category, p_priority => l.priority
) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 1, 'other') as g;

create function pg_temp.lot(p_payment text) returns uuid language plpgsql stable as $function$
begin
    return (select c.id from public.user_credits as c where c.payment_reference = p_payment);
end;
$function$;

-- What is left of each of the client's lots that had a payment.
prepare left_over as
select
    c.payment_reference,
    c.credits_balance
from public.user_credits as c
where c.user_id = pg_temp.client() and c.payment_reference is not null
order by c.payment_reference;

-- The entries of the last adjustment.
create function pg_temp.last_entry() returns bigint language plpgsql stable as $function$
begin
    return (select coalesce(max(l.id), 0) from bookingdb.ledger as l);
end;
$function$;
create temporary table mark on commit drop as
select pg_temp.last_entry() as entry;
prepare entries as
select
    l.kind,
    l.amount,
    l.balance_after,
    l.reason,
    coalesce(c.payment_reference, 'none') as payment
from bookingdb.ledger as l
inner join public.user_credits as c on l.lot_id = c.id
where l.id > (select m.entry from mark as m)
order by l.id;

-- ---------------------------------------------------------------------------------------------------------------------
-- Credits are added
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select a.lot_id is null, a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), 7, 'the heating failed') as a
    $$,
    'values (false, 7, 27)',
    'returns the lot and the total'
);
select results_eq(
    $$
        select c.user_type, c.credits_balance, c.credits_purchased, c.credits_used, c.credits_expired, c.expires_at,
            c.payment_reference, c.status, c.category, c.priority
        from public.user_credits as c
        where c.user_id = pg_temp.client() and c.payment_reference is null
    $$,
    $$ values ('user', 7, 7, 0, 0, null::timestamptz, null::text, 'active', 'paid', 50) $$,
    'without a lot it is a new one, which does not expire'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.session_id, l.user_id, l.actor, l.reason
        from bookingdb.ledger as l where l.id > (select m.entry from mark as m)
    $$,
    $$
        values (
            'adjustment', 7, 7, null::uuid, pg_temp.client(), current_user::text collate "default", 'the heating failed'
        )
    $$,
    'writes one entry, with the reason'
);
update mark as m set entry = pg_temp.last_entry()
where true;
select results_eq(
    $$
        select a.lot_id = pg_temp.lot('soon'), a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), 2, 'as promised', pg_temp.lot('soon')) as a
    $$,
    'values (true, 5, 29)',
    'a lot that is named gets it'
);
select results_eq(
    'entries', $$ values ('adjustment', 2, 5, 'as promised', 'soon') $$, 'writes an entry of that lot'
);
select results_eq(
    $$
        select c.credits_balance, c.credits_purchased, c.credits_used
        from public.user_credits as c where c.payment_reference = 'soon'
    $$,
    'values (5, 3, 0)',
    'what was bought stays what it was'
);
select results_eq(
    $$
        select g.lot_id = pg_temp.lot('soon'), g.lot_balance
        from public.grant_credits(pg_temp.client(), 3, 'soon') as g
    $$,
    'values (true, 5)',
    'so that the payment is still recognised'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Credits are taken away
-- ---------------------------------------------------------------------------------------------------------------------

update mark as m set entry = pg_temp.last_entry()
where true;
select results_eq(
    $$
        select a.lot_id = pg_temp.lot('later'), a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), -8, 'counted twice') as a
    $$,
    'values (true, 3, 21)',
    'without a lot it takes them from several, and returns the last one'
);
select results_eq(
    'entries',
    $$
        values
        ('adjustment', -2, 0, 'counted twice', 'soon, for nothing'),
        ('adjustment', -5, 0, 'counted twice', 'soon'),
        ('adjustment', -1, 3, 'counted twice', 'later')
    $$,
    'in the order in which they would be spent: what expires soonest, promotional before paid, one entry a lot'
);
select results_eq(
    'left_over',
    $$ values ('last', 6), ('later', 3), ('never', 5), ('soon', 0), ('soon, for nothing', 0) $$,
    'of which this is left'
);
select results_eq(
    $$
        select coalesce(c.payment_reference, 'none'), o.payload
        from bookingdb.outbox as o
        inner join public.user_credits as c on o.subject_id = c.id
        where o.event = 'credits.adjusted'
        order by o.id
    $$,
    $$
        select e.payment, jsonb_build_object('lot_id', c.id, 'user_id', pg_temp.client(), 'amount', e.amount)
        from (
            values (1, 'none', 7), (2, 'soon', 2), (3, 'soon, for nothing', -2), (4, 'soon', -5), (5, 'later', -1)
        ) as e (number, payment, amount)
        inner join public.user_credits as c
            on c.user_id = pg_temp.client() and coalesce(c.payment_reference, 'none') = e.payment
        order by e.number
    $$,
    'there is an event for each entry'
);
update mark as m set entry = pg_temp.last_entry()
where true;
select results_eq(
    $$
        select a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), -6, 'all of it', pg_temp.lot('last')) as a
    $$,
    'values (0, 15)',
    'from a lot that is named it takes all there is'
);
select results_eq('entries', $$ values ('adjustment', -6, 0, 'all of it', 'last') $$, 'from no other');
select throws_ok(
    $$ select public.adjust_credits(pg_temp.client(), -4, 'too much', pg_temp.lot('later')) $$,
    'PT402', 'Insufficient credits: purchase credits first', 'but not more'
);
select throws_ok(
    $$ select public.adjust_credits(pg_temp.client(), -16, 'too much') $$,
    'PT402', 'Insufficient credits: purchase credits first', 'nor more than the client has'
);
select is(
    pg_temp.detail_of($$ select public.adjust_credits(pg_temp.client(), -16, 'too much') $$),
    '{"code": "insufficient_credits", "credits_balance": 15, "lot_id": null}',
    'the error says how much that is'
);
select is(public.get_credit_balance(pg_temp.client()), 15, 'nothing is taken when it is not enough');
select results_eq(
    $$
        select a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.client(), -15, 'the account is closed') as a
    $$,
    'values (0, 0)',
    'everything may be taken'
);
select results_eq(
    $$ select a.credits_balance from public.adjust_credits(pg_temp.client(), 10000, repeat('r', 1000)) as a $$,
    array[10000],
    'as much as a grant, for as long a reason as 1000 characters'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Lots that do not count
-- ---------------------------------------------------------------------------------------------------------------------

insert into public.user_credits (user_id, user_type, credits_balance, expires_at, status, payment_reference)
values
(pg_temp.poor_client(), 'user', 10, now() - interval '1 second', 'active', 'over'),
(pg_temp.poor_client(), 'user', 10, null, 'revoked', 'revoked'),
(pg_temp.poor_client(), 'therapist', 10, null, 'active', 'a therapist''s');
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;
select throws_ok(
    $$ select public.adjust_credits(pg_temp.poor_client(), -1, 'r') $$,
    'PT402', 'Insufficient credits: purchase credits first', 'only credits that count are taken'
);
select
    throws_ok(
        format('select public.adjust_credits(pg_temp.poor_client(), -1, ''r'', pg_temp.lot(%L))', l.payment),
        l.sqlstate, l.message, l.name
    )
from (
    values
    ('over', 'PT400', 'Invalid parameter', 'not those of a lot that has expired'),
    ('revoked', 'PT400', 'Invalid parameter', 'not those of a lot whose payment was taken back'),
    ('a therapist''s', 'PT404', 'Credit grant not found', 'not those of another type of user')
) as l (payment, sqlstate, message, name);
select
    throws_ok(
        format('select public.adjust_credits(pg_temp.poor_client(), 1, ''r'', pg_temp.lot(%L))', l.payment),
        l.sqlstate, l.message, format('nothing is added there: %s', l.payment)
    )
from (
    values
    ('over', 'PT400', 'Invalid parameter'),
    ('revoked', 'PT400', 'Invalid parameter'),
    ('a therapist''s', 'PT404', 'Credit grant not found')
) as l (payment, sqlstate, message);
select
    is(
        pg_temp.detail_of(format(
            'select public.adjust_credits(pg_temp.poor_client(), %s, ''r'', pg_temp.lot(%L))', l.amount, l.payment
        )),
        jsonb_build_object(
            'code', 'invalid_parameter', 'parameter', 'p_lot_id', 'lot_id', pg_temp.lot(l.payment), 'status', l.status
        ),
        format('the error says what became of the lot: %s, %s', l.payment, l.amount)
    )
from (
    values ('over', 1, 'expired'), ('over', -20, 'expired'), ('revoked', 1, 'revoked'), ('revoked', -1, 'revoked')
) as l (payment, amount, status);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format('select public.adjust_credits(%L, %L, %L, %L, %L)', r.user_id, r.amount, r.reason, r.lot_id, r.key),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, 1, 'r', null, null, 'PT400', 'Invalid user ID format', 'no user'),
    (pg_temp.client(), null, 'r', null, null, 'PT400', 'Invalid parameter', 'no amount'),
    (pg_temp.client(), 0, 'r', null, null, 'PT400', 'Invalid parameter', 'an amount of 0'),
    (pg_temp.client(), 10001, 'r', null, null, 'PT400', 'Invalid parameter', 'an amount of 10001'),
    (pg_temp.client(), -10001, 'r', null, null, 'PT400', 'Invalid parameter', 'an amount of -10001'),
    (pg_temp.client(), 1, null, null, null, 'PT400', 'Invalid parameter', 'no reason'),
    (pg_temp.client(), 1, '', null, null, 'PT400', 'Invalid parameter', 'an empty reason'),
    (pg_temp.client(), 1, '   ', null, null, 'PT400', 'Invalid parameter', 'a reason of blanks'),
    (pg_temp.client(), 1, e' \n\t', null, null, 'PT400', 'Invalid parameter', 'a reason of white space'),
    (pg_temp.client(), 1, repeat('r', 1001), null, null, 'PT400', 'Invalid parameter', 'a reason of 1001 characters'),
    (
        pg_temp.client(), 1, 'r' || repeat(' ', 1000), null, null,
        'PT400', 'Invalid parameter', 'a reason of 1001 characters, most of them blanks'
    ),
    (pg_temp.client(), 1, 'r', null, '', 'PT400', 'Invalid parameter', 'an empty key'),
    (pg_temp.client(), 1, 'r', null, repeat('k', 256), 'PT400', 'Invalid parameter', 'a key of 256 characters'),
    (pg_temp.stranger(), 1, 'r', null, null, 'PT404', 'User not found', 'a user that nobody knows'),
    (pg_temp.therapist(), 1, 'r', null, null, 'PT404', 'User not found', 'a therapist'),
    (
        pg_temp.client(), 1, 'r', pg_temp.stranger(), null,
        'PT404', 'Credit grant not found', 'a lot that nobody knows'
    ),
    (pg_temp.client(), -1, 'r', pg_temp.lot('other'), null, 'PT404', 'Credit grant not found', 'another client''s lot')
) as r (user_id, amount, reason, lot_id, key, sqlstate, message, name);
select is(
    pg_temp.detail_of($$ select public.adjust_credits(pg_temp.client(), 1, null) $$) ->> 'parameter',
    'p_reason',
    'the error names the parameter'
);

-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before insert or update on public.user_credits
for each row execute function pg_temp.swallow();
select throws_ok(
    $$ select public.adjust_credits(pg_temp.client(), 1, 'r') $$, 'XX000', 'Booking failed',
    'a lot that a trigger swallows'
);
select throws_ok(
    $$ select public.adjust_credits(pg_temp.client(), -1, 'r') $$, 'XX000', 'Booking failed',
    'a change that a trigger swallows'
);
drop trigger swallow on public.user_credits;

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ select public.adjust_credits(pg_temp.client(), 1, 'r') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ select public.adjust_credits(pg_temp.client(), 1, 'r') $$,
    'PT403', 'Not allowed to act for this user', 'a user, even for itself'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ select public.adjust_credits(pg_temp.client(), 1, 'r') $$,
    'PT403', 'Not allowed to act for this user', 'a therapist'
);
set local role anon;
select throws_ok($$ select public.adjust_credits(pg_temp.client(), 1, 'r') $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
update mark as m set entry = pg_temp.last_entry()
where true;
set local role service_role;
select lives_ok($$ select public.adjust_credits(pg_temp.client(), -1, 'r') $$, 'the application''s own server');
reset role;
select results_eq(
    $$ select l.actor from bookingdb.ledger as l where l.id > (select m.entry from mark as m) $$,
    array['service_role'],
    'which the entry names'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (integer, text, uuid) as
select
    a.lot_id,
    a.credits_balance
from public.adjust_credits(pg_temp.other_client(), $1, $2, $3, 'a key') as a;
create temporary table first_answer on commit drop as
select
    a.lot_id,
    a.credits_balance
from public.adjust_credits(pg_temp.other_client(), 3, 'why', null, 'a key') as a;
select is((select f.credits_balance from first_answer as f), 4, 'with a key');
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 5) as g;
select results_eq(
    $$ execute keyed(3, 'why', null) $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same lot and the first balance'
);
select is(public.get_credit_balance(pg_temp.other_client()), 9, 'and adds nothing');
select
    throws_ok(
        format('execute keyed(%L, %L, %L)', r.amount, r.reason, r.lot_id),
        'PT422', 'Idempotency key was used with other parameters', r.name
    )
from (
    values
    (2, 'why', null, 'the same key with another amount'),
    (3, 'why not', null, 'the same key with another reason'),
    (3, 'why', pg_temp.lot('other'), 'the same key with a lot')
) as r (amount, reason, lot_id, name);
select lives_ok(
    $$ select public.grant_credits(pg_temp.other_client(), 3, p_idempotency_key => 'a key') $$,
    'the same key of another function is another'
);

-- A client who cannot book any more keeps its credits, and they can be put right.
update public.users as u set is_active = false
where u.id = pg_temp.other_client();
select lives_ok(
    $$ select public.adjust_credits(pg_temp.other_client(), -12, 'paid out') $$, 'a client who was deactivated'
);
select is(public.get_credit_balance(pg_temp.other_client()), 0, 'is paid out');

-- A lot that was written directly may be so full that nothing can be added.
insert into public.user_credits (user_id, credits_balance, payment_reference)
values (pg_temp.poor_client(), 2147483640, 'full');
select is(
    pg_temp.detail_of($$ select public.adjust_credits(pg_temp.poor_client(), 8, 'r', pg_temp.lot('full')) $$),
    jsonb_build_object(
        'code', 'invalid_parameter', 'parameter', 'p_amount', 'lot_id', pg_temp.lot('full'), 'lot_balance', 2147483640
    ),
    'no lot holds more than an integer does'
);
select results_eq(
    $$
        select a.lot_balance, a.credits_balance
        from public.adjust_credits(pg_temp.poor_client(), 7, 'r', pg_temp.lot('full')) as a
    $$,
    'values (2147483647, 2147483647)',
    'but that much'
);
insert into public.user_credits (user_id, credits_balance, payment_reference)
values (pg_temp.poor_client(), 5, 'beside it');
select throws_ok(
    $$ select public.adjust_credits(pg_temp.poor_client(), -6, 'r', pg_temp.lot('beside it')) $$,
    'PT402', 'Insufficient credits: purchase credits first', 'nor is a balance beyond it in the way of an error'
);
delete from public.user_credits as c
where c.payment_reference in ('full', 'beside it');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
