begin;
\ir include/setup.sql
select plan(79);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'cancel_session',
    array['uuid', 'text', 'boolean', 'text']
);
select function_lang_is('public'::name, 'cancel_session'::name, 'plpgsql'::name);
select function_returns('public'::name, 'cancel_session'::name, 'setof record');
select volatility_is('public'::name, 'cancel_session'::name, 'volatile');
select isnt_definer('public'::name, 'cancel_session'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the client has one lot of 10 credits. Its sessions are known by their titles.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (values ('early', 30), ('late', 31), ('therapist''s', 32), ('kept', 33), ('given back', 34)) as t (title, days);

-- ---------------------------------------------------------------------------------------------------------------------
-- The client cancels in time, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$
        select c.user_id, c.therapist_id, c.title::text, c.description, c.scheduled_date, c.scheduled_time,
            c.start_time, c.end_time, c.duration_minutes, c.session_type::text, c.status::text, c.created_at,
            c.time_zone, c.credits_balance, c.free_cancellation_until, c.refunded
        from public.cancel_session(pg_temp.session('early'), 'I am ill') as c
    $$,
    $$
        values (
            pg_temp.client(), pg_temp.therapist(),
            'early', '', current_date + 30, time '10:00',
            (current_date + 30 + time '10:00') at time zone 'UTC',
            (current_date + 30 + time '11:00') at time zone 'UTC',
            60, 'video', 'cancelled', now(), 'UTC', 6,
            (current_date + 29 + time '10:00') at time zone 'UTC', true
        )
    $$,
    'returns the session as it stands, the balance, and that the credit came back'
);
reset role;
select results_eq(
    $$
        select s.status::text, s.cancellation_reason, s.start_time, s.credits_charged, s.updated_at
        from public.sessions as s where s.title = 'early'
    $$,
    $$
        values ('cancelled', 'I am ill', (current_date + 30 + time '10:00') at time zone 'UTC', 1, now())
    $$,
    'writes status and reason, and leaves the rest of the session alone'
);
select is_empty(
    $$ select c.id from bookingdb.calendar as c where c.id = pg_temp.session('early') $$,
    'takes the session off the calendar'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.lot_id, l.user_id, l.actor, l.reason
        from bookingdb.ledger as l where l.session_id = pg_temp.session('early') order by l.id
    $$,
    $$
        select e.kind, e.amount, e.balance_after, c.id, pg_temp.client(), e.actor collate "default", null::text
        from (
            values ('debit', -1, 9, current_user::text), ('refund', 1, 6, pg_temp.client()::text)
        ) as e (kind, amount, balance_after, actor)
        cross join public.user_credits as c
        where c.user_id = pg_temp.client()
    $$,
    'writes one refund, into the very lot that was debited'
);
select results_eq(
    $$
        select c.credits_balance, c.credits_purchased, c.credits_used, c.credits_expired
        from public.user_credits as c where c.user_id = pg_temp.client()
    $$,
    'values (6, 10, 4, 0)',
    'puts the credit back into the lot'
);
select results_eq(
    $$
        select a.user_id, a.action, a.old_status, a.new_status, a.changes, a.actor
        from public.booking_audit_log as a
        where a.session_id = pg_temp.session('early') and a.action <> 'created'
    $$,
    $$
        values (
            pg_temp.client(), 'status_changed', 'scheduled', 'cancelled',
            jsonb '{
                "status": {"old": "scheduled", "new": "cancelled"},
                "cancellation_reason": {"old": null, "new": "I am ill"}
            }',
            pg_temp.client()::text
        )
    $$,
    'writes one audit row: who, why, from what to what'
);
select ok(
    (
        select a.created_at between now() and clock_timestamp()
        from public.booking_audit_log as a
        where a.session_id = pg_temp.session('early') and a.action = 'status_changed'
    ),
    'and when'
);
select results_eq(
    $$
        select o.event, o.payload ->> 'old_status', o.payload ->> 'new_status'
        from bookingdb.outbox as o where o.subject_id = pg_temp.session('early') and o.event <> 'session.created'
    $$,
    $$ values ('session.status_changed', 'scheduled', 'cancelled') $$,
    'writes one event of the session'
);
select results_eq(
    $$
        select o.subject_id, o.payload
        from bookingdb.outbox as o
        where o.event = 'credits.refunded' and o.payload ->> 'session_id' = pg_temp.session('early')::text
    $$,
    $$
        select l.lot_id, jsonb_build_object(
            'lot_id', l.lot_id, 'user_id', l.user_id, 'amount', 1, 'session_id', l.session_id
        )
        from bookingdb.ledger as l where l.session_id = pg_temp.session('early') and l.kind = 'refund'
    $$,
    'and one of its credit'
);
select is(
    (
        select count(*) from bookingdb.outbox as o
        where o.payload::text like '%ill%'
    ), 0::bigint,
    'which does not tell the reason'
);
select g.lot_balance from public.grant_credits(pg_temp.poor_client(), 1) as g;
select lives_ok(
    $$ select pg_temp.book('early again', pg_temp.poor_client(), pg_temp.therapist(), 30) $$,
    'the time is free at once'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who gets the credit back
-- ---------------------------------------------------------------------------------------------------------------------

prepare cancel (text) as
select
    c.status::text,
    c.refunded,
    c.credits_balance
from public.cancel_session(pg_temp.session($1)) as c;

prepare entries (text) as
select
    l.kind,
    l.amount,
    l.actor
from bookingdb.ledger as l
where l.session_id = pg_temp.session($1) and l.kind <> 'debit'
order by l.id;

-- What the client pays for being late was agreed upon when it booked.
update public.sessions as s set free_cancellation_until = now() - interval '1 second'
where s.title in ('late', 'therapist''s', 'given back');
set local role authenticated;
select results_eq(
    $$ execute cancel('late') $$,
    $$ values ('cancelled', false, 6) $$,
    'a client who cancels late does not get the credit back'
);
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$ execute cancel('therapist''s') $$,
    $$ values ('cancelled', true, null::integer) $$,
    'when the therapist cancels, it comes back, however late; the therapist is not told the balance'
);
reset role;
select is_empty($$ execute entries('late') $$, 'nothing is written to the ledger for the late one');
select is_empty(
    $$ select c.id from bookingdb.calendar as c where c.id = pg_temp.session('late') $$,
    'whose time is free all the same'
);
select results_eq(
    $$ execute entries('therapist''s') $$,
    $$ values ('refund', 1, pg_temp.therapist()::text) $$,
    'the refund of the other one names the therapist'
);
select results_eq(
    $$ select c.refunded, c.credits_balance from public.cancel_session(pg_temp.session('kept'), null, false) as c $$,
    'values (false, 7)',
    'a trusted caller may keep a credit that would come back'
);
set local role service_role;
select results_eq(
    $$ execute cancel('given back') $$,
    $$ values ('cancelled', true, 8) $$,
    'when a trusted caller cancels, it comes back, however late'
);
reset role;

-- Pretends that sessions have begun, or that they were booked before there were deals.
select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (
    values ('no deal, early', 40), ('no deal, late', 41), ('no deal, own window', 42), ('old deal', 43), ('begun', 44)
) as t (title, days);
update public.sessions as s set free_cancellation_until = null
where s.title like 'no deal%';
update public.sessions as s set start_time = now() + interval '2 hours', end_time = now() + interval '3 hours'
where s.title = 'no deal, late';
update public.sessions as s set start_time = now() + interval '4 hours', end_time = now() + interval '5 hours'
where s.title = 'no deal, own window';
update public.sessions as s set start_time = now() - interval '30 minutes', end_time = now() + interval '30 minutes'
where s.title = 'begun';
set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$ execute cancel('no deal, early') $$,
    $$ values ('cancelled', true, 4) $$,
    'a session from before there were deals has that of today''s policy'
);
select results_eq($$ execute cancel('no deal, late') $$, $$ values ('cancelled', false, 4) $$, 'also when it is late');
reset role;
select p.cancellation_window from public.set_policy('{"cancellation_window": "1 hour"}', pg_temp.therapist()) as p;
set local role authenticated;
select results_eq(
    $$ execute cancel('no deal, own window') $$,
    $$ values ('cancelled', true, 5) $$,
    'today''s policy of its therapist'
);
reset role;
select p.cancellation_window from public.set_policy('{"cancellation_window": "365 days"}', pg_temp.therapist()) as p;
set local role authenticated;
select results_eq(
    $$ execute cancel('old deal') $$,
    $$ values ('cancelled', true, 6) $$,
    'a policy that changed since does not change the deal'
);
select throws_ok(
    $$ execute cancel('begun') $$,
    'PT409', 'Session status does not allow this', 'what has begun is no longer the client''s to cancel'
);
select is(
    pg_temp.detail_of($$ execute cancel('begun') $$) - 'start_time',
    jsonb_build_object(
        'code', 'invalid_transition', 'session_id', pg_temp.session('begun'), 'status', 'scheduled',
        'asked', 'cancelled'
    ),
    'the error says from what to what'
);
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$ execute cancel('begun') $$,
    $$ values ('cancelled', true, null::integer) $$,
    'but the therapist''s'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Lots that are over when the credit comes back
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table lots on commit drop as
select
    n.name,
    (
        select g.lot_id
        from public.grant_credits(
            pg_temp.other_client(), 1, n.name, now() + n.days * interval '1 day',
            p_category => 'promotional', p_priority => 20
        ) as g
    ) as id
from (
    values
    ('expired', 60),
    ('posted', 61),
    ('own grace', 62),
    ('revoked', 63),
    ('revoked, expired', 64),
    ('deleted', 65)
) as n (name, days);
select pg_temp.book(n.title, pg_temp.other_client(), pg_temp.other_therapist(), n.days)
from (values ('expired', 40), ('posted', 41), ('own grace', 42)) as n (title, days)
order by n.days;
select pg_temp.book(n.title, pg_temp.other_client(), pg_temp.other_therapist(), n.days)
from (values ('revoked', 43), ('revoked, expired', 44), ('deleted', 45)) as n (title, days)
order by n.days;
select results_eq(
    $$
        select s.title::text from bookingdb.ledger as l
        inner join public.sessions as s on s.id = l.session_id
        inner join lots as n on n.id = l.lot_id
        where s.title = n.name
        order by l.id
    $$,
    array['expired', 'posted', 'own grace', 'revoked', 'revoked, expired', 'deleted'],
    'six sessions of a client, each paid from a lot of its own'
);

prepare grace (text) as
select
    c.user_type,
    c.credits_balance,
    c.credits_purchased,
    c.credits_used,
    c.status,
    c.category,
    c.priority,
    c.expires_at - now() between interval '29 days 23 hours 59 minutes' and interval '30 days 1 minute' as is_30_days
from public.user_credits as c
inner join lots as n on c.grace_for_lot_id = n.id
where n.name = $1;

update public.user_credits as c set expires_at = now() - interval '1 second'
from lots as n
where n.id = c.id and n.name in ('expired', 'posted', 'own grace');
set local role authenticated;
select pg_temp.claim(pg_temp.other_client());
select results_eq(
    $$ execute cancel('expired') $$,
    $$ values ('cancelled', true, 1) $$,
    'a credit whose lot has expired comes back all the same'
);
reset role;
select results_eq(
    $$ execute grace('expired') $$,
    $$ values ('user', 1, 0, 0, 'active', 'promotional', 20, true) $$,
    'in a grace lot of its own, as the old one was, that expires in 30 days'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.user_id
        from bookingdb.ledger as l
        inner join public.user_credits as c on c.id = l.lot_id
        inner join lots as n on n.id = c.grace_for_lot_id
        where l.session_id = pg_temp.session('expired') and n.name = 'expired'
    $$,
    $$ values ('refund', 1, 1, pg_temp.other_client()) $$,
    'the refund is the first entry of that lot'
);
select results_eq(
    $$
        select c.credits_balance, c.credits_used, c.status
        from public.user_credits as c
        inner join lots as n on n.id = c.id
        where n.name = 'expired'
    $$,
    $$ values (0, 1, 'active') $$,
    'the old one is left alone'
);
select e.lots from public.expire_credits() as e;
select results_eq(
    $$ execute cancel('posted') $$, $$ values ('cancelled', true, 2) $$, 'also after its expiry was posted'
);
select results_eq(
    $$ execute grace('posted') $$,
    $$ values ('user', 1, 0, 0, 'active', 'promotional', 20, true) $$,
    'in a grace lot, too'
);
select p.refund_grace from public.set_policy('{"refund_grace": "7 days"}', pg_temp.other_therapist()) as p;
select results_eq(
    $$ execute cancel('own grace') $$, $$ values ('cancelled', true, 3) $$, 'a therapist may have another grace'
);
select ok(
    (
        select c.expires_at - now() between interval '6 days 23 hours 59 minutes' and interval '7 days 1 minute'
        from public.user_credits as c
        inner join lots as n on c.grace_for_lot_id = n.id
        where n.name = 'own grace'
    ),
    'of 7 days'
);
select p.refund_grace from public.set_policy('{"refund_grace": null}', pg_temp.other_therapist()) as p;

select r.credits_spent from public.revoke_grant(p_payment_reference => 'revoked') as r;
select results_eq(
    $$ execute cancel('revoked') $$,
    $$ values ('cancelled', true, 3) $$,
    'a credit whose payment was taken back comes back, and goes at once'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.reason
        from bookingdb.ledger as l
        inner join lots as n on n.id = l.lot_id
        where n.name = 'revoked' order by l.id
    $$,
    $$
        values
        ('grant', 1, 1, null::text), ('debit', -1, 0, null), ('refund', 1, 1, null),
        ('revocation', -1, 0, 'refund to a lot that is revoked')
    $$,
    'both of which the ledger says'
);
select r.credits_spent from public.revoke_grant(p_payment_reference => 'revoked, expired') as r;
update public.user_credits as c set expires_at = now() - interval '1 second'
from lots as n
where n.id = c.id and n.name = 'revoked, expired';
select results_eq(
    $$ execute cancel('revoked, expired') $$,
    $$ values ('cancelled', true, 3) $$,
    'also when that lot would have expired meanwhile'
);
select is_empty(
    $$ execute grace('revoked, expired') $$, 'there is no grace for what was never paid'
);
delete from public.user_credits as c using lots as n
where n.id = c.id and n.name = 'deleted';
select results_eq(
    $$ execute cancel('deleted') $$, $$ values ('cancelled', true, 4) $$, 'a lot that was deleted is over, too'
);
select results_eq(
    $$ execute grace('deleted') $$,
    $$ values ('user', 1, 0, 0, 'active', 'paid', 50, true) $$,
    'of which nothing is known'
);
select is(public.get_credit_balance(pg_temp.other_client()), 4, 'a credit for each session that was paid');
-- Whoever may write the table may delete a grace lot, too.
delete from public.user_credits as c using lots as n
where n.id = c.grace_for_lot_id and n.name = 'posted';
select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold after that');

-- ---------------------------------------------------------------------------------------------------------------------
-- Sessions that were not booked by a function of ours
-- ---------------------------------------------------------------------------------------------------------------------

insert into public.sessions (user_id, therapist_id, title, status, start_time, end_time)
select
    pg_temp.client() as user_id,
    pg_temp.other_therapist() as therapist_id,
    t.title,
    t.status,
    now() + t.days * interval '1 day' as start_time,
    now() + t.days * interval '1 day' + interval '1 hour' as end_time
from (values ('asked for', 'pending_approval', 70), ('unpaid', 'confirmed', 71)) as t (title, status, days);
insert into public.sessions (therapist_id, title, start_time, end_time)
values
(pg_temp.other_therapist(), 'nobody''s', now() + interval '72 days', now() + interval '73 days'),
(pg_temp.other_therapist(), 'some day', null, null);
select results_eq(
    $$ execute cancel('asked for') $$,
    $$ values ('cancelled', false, 7) $$,
    'to decline is to cancel: nothing was charged, nothing comes back'
);
select results_eq(
    $$ execute cancel('unpaid') $$, $$ values ('cancelled', false, 7) $$, 'a session that nobody paid is cancelled'
);
select is_empty($$ execute entries('asked for') $$, 'neither has an entry');
set local role authenticated;
select pg_temp.claim(pg_temp.other_therapist());
select results_eq(
    $$
        select c.status::text, c.refunded
        from public.cancel_session(pg_temp.session('nobody''s'), p_idempotency_key => 'a key') as c
    $$,
    $$ values ('cancelled', false) $$,
    'a session without a client'
);
select results_eq($$ execute cancel('some day') $$, $$ values ('cancelled', false, null::integer) $$, 'or a time');
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (values ('keyed', 50), ('keyed, too', 51), ('therapist''s key', 52), ('refused', 53)) as t (title, days)
order by t.days;
prepare keyed (text, text) as
select
    c.id,
    c.status::text,
    c.credits_balance,
    c.refunded
from public.cancel_session(pg_temp.session($1), $2, p_idempotency_key => 'a key') as c;
create temporary table first_answer on commit drop as
select
    c.id,
    c.status::text as status,
    c.credits_balance,
    c.refunded
from public.cancel_session(pg_temp.session('keyed'), 'why', p_idempotency_key => 'a key') as c;
select results_eq(
    'select f.status, f.credits_balance, f.refunded from first_answer as f',
    $$ values ('cancelled', 4, true) $$,
    'with a key'
);
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
select results_eq(
    $$ execute keyed('keyed', 'why') $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same session and the first balance'
);
select is(public.get_credit_balance(pg_temp.client()), 9, 'and nothing comes back twice');
select throws_ok(
    $$ execute keyed('keyed', 'another reason') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key with another reason'
);
select throws_ok(
    $$ execute keyed('keyed, too', 'why') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key for another session of the client'
);
select throws_ok(
    $$ select public.cancel_session(pg_temp.session('keyed'), 'why', true, 'a key') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key with another refund'
);
select lives_ok(
    $$ select public.confirm_session(pg_temp.session('keyed, too'), 'a key') $$,
    'the same key of another function is another'
);
set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$
        select c.credits_balance, c.refunded
        from public.cancel_session(pg_temp.session('therapist''s key'), p_idempotency_key => 'therapist''s') as c
    $$,
    'values (null::integer, true)',
    'a therapist''s key'
);
select results_eq(
    $$
        select c.credits_balance, c.refunded
        from public.cancel_session(pg_temp.session('therapist''s key'), p_idempotency_key => 'therapist''s') as c
    $$,
    'values (null::integer, true)',
    'is answered again without the balance'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.cancel_session(%L, %L, %L, %L)', r.session_id, r.reason, r.refund, r.key),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, null, null, null, 'PT400', 'Invalid session ID format', 'no session'),
    (pg_temp.stranger(), null, null, null, 'PT404', 'Session not found', 'a session that nobody knows'),
    (pg_temp.session('refused'), repeat('r', 1001), null, null, 'PT400', 'Invalid parameter', '1001 characters'),
    (pg_temp.session('refused'), null, null, '', 'PT400', 'Invalid parameter', 'an empty key'),
    (pg_temp.session('refused'), null, null, repeat('k', 256), 'PT400', 'Invalid parameter', 'a key of 256 characters'),
    (
        pg_temp.session('early'), null, null, null,
        'PT409', 'Session status does not allow this', 'a session that was cancelled before'
    ),
    (
        pg_temp.session('early'), null, true, 'too late',
        'PT409', 'Session status does not allow this', 'also to give the credit back'
    )
) as r (session_id, reason, refund, key, sqlstate, message, name);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute cancel('refused') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_client());
select throws_ok($$ execute cancel('refused') $$, 'PT403', 'Not allowed to act for this user', 'another client');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok($$ execute cancel('refused') $$, 'PT403', 'Not allowed to act for this user', 'another therapist');
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ select public.cancel_session(pg_temp.session('refused'), p_refund => true) $$,
    'PT403', 'Not allowed to act for this user', 'the client says that the credit comes back'
);
select throws_ok(
    $$ select public.cancel_session(pg_temp.session('refused'), p_refund => false) $$,
    'PT403', 'Not allowed to act for this user', 'or that it does not'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ select public.cancel_session(pg_temp.session('refused'), p_refund => false) $$,
    'PT403', 'Not allowed to act for this user', 'the therapist keeps the credit'
);
set local role anon;
select throws_ok($$ execute cancel('refused') $$, '42501', null, 'nobody without a login');
reset role;
-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before update on public.sessions for each row execute function pg_temp.swallow();
select throws_ok($$ execute cancel('refused') $$, 'XX000', 'Booking failed', 'a change that a trigger swallows');
drop trigger swallow on public.sessions;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');

select results_eq(
    $$
        select o.status, o.outcome
        from pg_temp.by_status(
            pg_temp.session('refused'), 'select public.cancel_session(pg_temp.session(''refused''))'
        ) as o
    $$,
    $$
        values
        ('pending_approval', 'done'), ('scheduled', 'done'), ('confirmed', 'done'),
        ('in_progress', 'Session status does not allow this'), ('completed', 'Session status does not allow this'),
        ('cancelled', 'Session status does not allow this'), ('no_show', 'Session status does not allow this')
    $$,
    'what is under way or over cannot be cancelled by anyone'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
