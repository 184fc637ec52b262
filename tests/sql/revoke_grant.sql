begin;
\ir include/setup.sql
select plan(46);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'revoke_grant',
    array['uuid', 'text', 'text']
);
select function_lang_is('public'::name, 'revoke_grant'::name, 'plpgsql'::name);
select function_returns('public'::name, 'revoke_grant'::name, 'setof record');
select volatility_is('public'::name, 'revoke_grant'::name, 'volatile');
select isnt_definer('public'::name, 'revoke_grant'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People. The client spent two credits of the first payment, and got one of them back.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 5, 'first', p_priority => 1) as g;
select g.lot_balance from public.grant_credits(pg_temp.client(), 3, 'second') as g;
select g.lot_balance from public.grant_credits(pg_temp.client(), 1, 'third') as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 1, 'other''s') as g;
select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (values ('1', 1), ('2', 40), ('3', 41)) as t (title, days);
select c.refunded from public.cancel_session(pg_temp.session('3')) as c;

create function pg_temp.lot(p_payment text) returns uuid language plpgsql stable security definer as $function$
begin
    return (select c.id from public.user_credits as c where c.payment_reference = p_payment);
end;
$function$;
prepare lots as
select
    c.payment_reference,
    c.status,
    c.credits_balance,
    c.credits_purchased,
    c.credits_used
from public.user_credits as c
where c.user_id = pg_temp.client()
order by c.payment_reference;
prepare entries (text) as
select
    l.kind,
    l.amount,
    l.balance_after,
    l.reason,
    l.actor
from bookingdb.ledger as l
where l.lot_id = pg_temp.lot($1) and l.kind = 'revocation'
order by l.id;

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may call it
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.revoke_grant(%L, %L, %L)', r.lot_id, r.payment, r.reason), r.sqlstate, r.message, r.name
    )
from (
    values
    (null, null, null, 'PT400', 'Invalid parameter', 'neither a lot nor a payment'),
    (pg_temp.lot('first'), 'first', null, 'PT400', 'Invalid parameter', 'both of them, even if they are the same'),
    (null, '', null, 'PT400', 'Invalid parameter', 'an empty payment reference'),
    (null, repeat('p', 256), null, 'PT400', 'Invalid parameter', 'a payment reference of 256 characters'),
    (null, 'first', repeat('r', 1001), 'PT400', 'Invalid parameter', 'a reason of 1001 characters'),
    (null, 'fourth', null, 'PT404', 'Credit grant not found', 'a payment that nobody knows'),
    (null, 'First', null, 'PT404', 'Credit grant not found', 'one that is written differently'),
    (pg_temp.stranger(), null, null, 'PT404', 'Credit grant not found', 'a lot that nobody knows')
) as r (lot_id, payment, reason, sqlstate, message, name);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ select public.revoke_grant(null, 'first') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ select public.revoke_grant(null, 'first') $$,
    'PT403', 'Not allowed to act for this user', 'a user, even its own'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ select public.revoke_grant(null, 'fourth') $$,
    'PT403', 'Not allowed to act for this user', 'a therapist, who is not told whether there is such a payment'
);
set local role anon;
select throws_ok($$ select public.revoke_grant(null, 'first') $$, '42501', null, 'nobody without a login');
reset role;
-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before update on public.user_credits for each row execute function pg_temp.swallow();
select throws_ok(
    $$ select public.revoke_grant(null, 'first') $$, 'XX000', 'Booking failed', 'a change that a trigger swallows'
);
drop trigger swallow on public.user_credits;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');

-- ---------------------------------------------------------------------------------------------------------------------
-- A payment is taken back, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

set local role service_role;
select results_eq(
    $$
        select r.lot_id, r.credits_revoked, r.credits_spent, r.credits_balance
        from public.revoke_grant(p_payment_reference => 'first', p_reason => 'chargeback 4711') as r
    $$,
    $$ values (pg_temp.lot('first'), bigint '3', bigint '2', 4) $$,
    'returns what was left, what had been spent, and what else the client has'
);
reset role;
select results_eq(
    'lots',
    $$ values ('first', 'revoked', 0, 5, 2), ('second', 'active', 3, 3, 0), ('third', 'active', 1, 1, 0) $$,
    'takes everything from the lot, and nothing from any other'
);
select results_eq(
    $$ execute entries('first') $$,
    $$ values ('revocation', -3, 0, 'chargeback 4711', 'service_role') $$,
    'writes one entry, with the reason'
);
create temporary table mark on commit drop as
select max(o.id) as event from bookingdb.outbox as o
where o.event in ('credits.granted', 'credits.refunded');
prepare events (text) as
select
    o.event,
    o.payload
from bookingdb.outbox as o
where o.subject_id = pg_temp.lot($1) and o.id > (select m.event from mark as m)
order by o.id;
create function pg_temp.payload(p_payment text, p_amount integer) returns jsonb language sql
return jsonb_build_object('lot_id', pg_temp.lot(p_payment), 'user_id', pg_temp.client(), 'amount', p_amount);
select results_eq(
    $$ execute events('first') $$,
    $$ values ('credits.revoked', pg_temp.payload('first', -3)) $$,
    'and one event'
);
select results_eq(
    $$ select s.status::text from public.sessions as s where s.title in ('1', '2') $$,
    array['scheduled', 'scheduled'],
    'what was booked with it stays booked'
);
select is(public.get_credit_balance(pg_temp.client()), 4, 'the rest can be spent');

-- ---------------------------------------------------------------------------------------------------------------------
-- Again
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table after_revocation on commit drop as
select pg_temp.written() as written;
select results_eq(
    $$
        select r.lot_id, r.credits_revoked, r.credits_spent, r.credits_balance
        from public.revoke_grant(pg_temp.lot('first'), p_reason => 'once more') as r
    $$,
    $$ values (pg_temp.lot('first'), bigint '3', bigint '2', 4) $$,
    'done again, by its id this time, it says the same'
);
select is(pg_temp.written(), (select a.written from after_revocation as a), 'and writes nothing');

-- What comes back to the lot later goes the same way.
select results_eq(
    $$ select c.refunded, c.credits_balance from public.cancel_session(pg_temp.session('2')) as c $$,
    'values (true, 4)',
    'a session that it paid is cancelled'
);
select results_eq(
    $$ execute entries('first') $$,
    format(
        $$
            values
            ('revocation', -3, 0, 'chargeback 4711', 'service_role'),
            ('revocation', -1, 0, 'refund to a lot that is revoked', %L)
        $$,
        current_user
    ),
    'and its credit taken back'
);
select results_eq(
    $$ execute events('first') $$,
    $$
        values
        ('credits.revoked', pg_temp.payload('first', -3)),
        (
            'credits.refunded',
            pg_temp.payload('first', 1) || jsonb_build_object('session_id', pg_temp.session('2'))
        ),
        ('credits.revoked', pg_temp.payload('first', -1))
    $$,
    'of which there are two events'
);
select results_eq(
    $$ select r.credits_revoked, r.credits_spent, r.credits_balance from public.revoke_grant(null, 'first') as r $$,
    $$ values (bigint '4', bigint '1', 4) $$,
    'the answer is what the ledger says by then'
);
select results_eq(
    $$
        select g.lot_id, g.lot_balance, g.credits_balance
        from public.grant_credits(pg_temp.client(), 5, 'first') as g
    $$,
    $$ values (pg_temp.lot('first'), 0, 4) $$,
    'a retry of the payment does not bring it back'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Other lots
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select r.credits_revoked, r.credits_spent, r.credits_balance
        from public.revoke_grant(null, 'second', '') as r
    $$,
    $$ values (bigint '3', bigint '0', 1) $$,
    'nothing was spent'
);
select pg_temp.book('4', pg_temp.client(), pg_temp.therapist(), 42);
select results_eq(
    $$ select r.credits_revoked, r.credits_spent, r.credits_balance from public.revoke_grant(null, 'third') as r $$,
    $$ values (bigint '0', bigint '1', 0) $$,
    'everything was spent'
);
select is_empty($$ execute entries('third') $$, 'of which there is nothing to post');
select results_eq(
    $$ execute events('third') $$,
    $$ values ('credits.revoked', pg_temp.payload('third', 0)) $$,
    'but something to tell'
);
select throws_ok(
    $$ select pg_temp.book('5', pg_temp.client(), pg_temp.therapist(), 43) $$,
    'PT402', 'Insufficient credits: purchase credits first', 'then the client cannot book any more'
);
update public.user_credits as c set expires_at = now() - interval '1 second'
where c.payment_reference = 'other''s';
select results_eq(
    $$ select r.credits_revoked, r.credits_spent, r.credits_balance from public.revoke_grant(null, 'other''s') as r $$,
    $$ values (bigint '1', bigint '0', 0) $$,
    'a lot that has expired and was not posted yet'
);
select results_eq('select e.lots from public.expire_credits() as e', array[0], 'expires no more');
select a.lot_balance
from public.adjust_credits(pg_temp.other_client(), 8, 'sorry') as a
cross join lateral public.adjust_credits(pg_temp.other_client(), -3, 'too many', a.lot_id);
select results_eq(
    $$
        select r.credits_revoked, r.credits_spent
        from public.user_credits as c
        cross join lateral public.revoke_grant(c.id) as r
        where c.user_id = pg_temp.other_client() and c.payment_reference is null
    $$,
    $$ values (bigint '5', bigint '0') $$,
    'what was adjusted was not spent'
);
select is(public.get_credit_balance(pg_temp.other_client()), 0, 'and is gone with the rest');

-- A credit that came back after its lot had expired is the same payment's.
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 2, 'grace') as g;
select pg_temp.book('6', pg_temp.other_client(), pg_temp.therapist(), 44);
update public.user_credits as c set expires_at = now() - interval '1 second'
where c.payment_reference = 'grace';
select c.refunded from public.cancel_session(pg_temp.session('6')) as c;
select is(public.get_credit_balance(pg_temp.other_client()), 1, 'a grace lot');
select results_eq(
    $$ select r.credits_revoked, r.credits_spent, r.credits_balance from public.revoke_grant(null, 'grace') as r $$,
    $$ values (bigint '2', bigint '0', 0) $$,
    'is taken back with the lot it stands for'
);
select results_eq(
    $$ select r.credits_revoked, r.credits_spent, r.credits_balance from public.revoke_grant(null, 'grace') as r $$,
    $$ values (bigint '2', bigint '0', 0) $$,
    'and counted again the second time'
);

-- What others wrote directly sums to more than an integer holds.
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 1, 'endless') as g;
update public.user_credits as c set credits_balance = 2000000000
where c.payment_reference = 'endless';
select r.credits_revoked from public.revoke_grant(null, 'endless') as r;
update public.user_credits as c set credits_balance = 2000000000
where c.payment_reference = 'endless';
select results_eq(
    $$ select r.credits_revoked, r.credits_spent, r.credits_balance from public.revoke_grant(null, 'endless') as r $$,
    $$ values (bigint '4000000000', bigint '0', 0) $$,
    'what was taken back twice is counted twice'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
