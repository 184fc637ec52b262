begin;
\ir include/setup.sql
select plan(45);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'approve_session',
    array['uuid', 'text']
);
select function_lang_is('public'::name, 'approve_session'::name, 'plpgsql'::name);
select function_returns('public'::name, 'approve_session'::name, 'setof record');
select volatility_is('public'::name, 'approve_session'::name, 'volatile');
select isnt_definer('public'::name, 'approve_session'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the client has 3 credits, the poor one none. The application asks for sessions by writing them.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
select p.cancellation_window from public.set_policy('{"cancellation_window": "48 hours"}', pg_temp.therapist()) as p;
insert into public.sessions (user_id, therapist_id, title, status, start_time, end_time, duration_minutes, time_zone)
select
    p.user_id,
    pg_temp.therapist() as therapist_id,
    p.title,
    'pending_approval' as status,
    (current_date + p.days + time '10:00') at time zone 'UTC' as start_time,
    (current_date + p.days + time '11:00') at time zone 'UTC' as end_time,
    60 as duration_minutes,
    'UTC' as time_zone
from (
    values
    (pg_temp.client(), 'first', 30),
    (pg_temp.client(), 'second', 31),
    (pg_temp.client(), 'keyed', 32),
    (pg_temp.client(), 'keyed, too', 33),
    (pg_temp.client(), 'any', 34),
    (pg_temp.client(), 'over', -2),
    (pg_temp.poor_client(), 'unpaid', 36),
    (null, 'nobody''s', 37)
) as p (user_id, title, days);
insert into public.sessions (user_id, therapist_id, title, status)
values (pg_temp.client(), pg_temp.therapist(), 'some day', 'pending_approval');

create temporary table before_approval on commit drop as
select
    s.*,
    (select max(l.id) from bookingdb.ledger as l) as last_entry,
    (select max(a.id) from public.booking_audit_log as a) as last_audit_row,
    (select max(o.id) from bookingdb.outbox as o) as last_event
from public.sessions as s
where s.title = 'first';
select is(
    (select b.credits_charged from before_approval as b), 0, 'what waits for approval is not charged'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- An approval, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

prepare approve (text) as
select
    a.status::text,
    a.credits_balance
from public.approve_session(pg_temp.session($1)) as a;

set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$
        select a.id = pg_temp.session('first'), a.user_id, a.therapist_id, a.title::text, a.start_time, a.end_time,
            a.duration_minutes, a.status::text, a.created_at, a.time_zone, a.credits_balance,
            a.free_cancellation_until, a.refunded
        from public.approve_session(pg_temp.session('first')) as a
    $$,
    $$
        values (
            true, pg_temp.client(), pg_temp.therapist(), 'first',
            (current_date + 30 + time '10:00') at time zone 'UTC',
            (current_date + 30 + time '11:00') at time zone 'UTC',
            60, 'scheduled', now(), 'UTC', null::integer,
            (current_date + 28 + time '10:00') at time zone 'UTC', false
        )
    $$,
    'the therapist gets the session as it stands, without the client''s balance'
);
reset role;
select results_eq(
    $$
        select s.status::text, s.credits_charged, s.free_cancellation_until
        from public.sessions as s where s.title = 'first'
    $$,
    $$ values ('scheduled', 1, (current_date + 28 + time '10:00') at time zone 'UTC') $$,
    'writes that it takes place, that it was charged, and the deal, which is that of the therapist''s policy of today'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.session_id, l.user_id, l.actor
        from bookingdb.ledger as l where l.id > (select b.last_entry from before_approval as b)
    $$,
    $$ values ('debit', -1, 4, pg_temp.session('first'), pg_temp.client(), pg_temp.therapist()::text) $$,
    'writes one debit of one credit'
);
select results_eq(
    $$
        select c.credits_balance, c.credits_used
        from public.user_credits as c where c.user_id = pg_temp.client()
    $$,
    'values (4, 1)',
    'takes the credit from the lot'
);
select results_eq(
    $$ select c.kind, c.period from bookingdb.calendar as c where c.id = pg_temp.session('first') $$,
    $$ select 'session', tstzrange(b.start_time, b.end_time) from before_approval as b $$,
    'keeps the time that it had since it was asked for'
);
select results_eq(
    $$
        select a.session_id, a.user_id, a.action, a.old_status, a.new_status, a.actor,
            array(select jsonb_object_keys(a.changes) order by 1)
        from public.booking_audit_log as a
        where a.id > (select b.last_audit_row from before_approval as b)
    $$,
    $$
        values (
            pg_temp.session('first'), pg_temp.client(), 'status_changed', 'pending_approval', 'scheduled',
            pg_temp.therapist()::text, array['credits_charged', 'free_cancellation_until', 'status']
        )
    $$,
    'writes one audit row'
);
select results_eq(
    $$
        select o.event, o.subject_id, o.payload ->> 'new_status'
        from bookingdb.outbox as o where o.id > (select b.last_event from before_approval as b)
    $$,
    $$ values ('session.status_changed', pg_temp.session('first'), 'scheduled') $$,
    'writes one event'
);
set local role service_role;
select results_eq(
    $$ execute approve('second') $$,
    $$ values ('scheduled', 3) $$,
    'the application''s own server gets the balance'
);
reset role;
select results_eq(
    $$ select c.refunded, c.credits_balance from public.cancel_session(pg_temp.session('second')) as c $$,
    'values (true, 4)',
    'what was charged on approval comes back when it is cancelled'
);

-- A session is charged once in its life.
update public.sessions as s set status = 'pending_approval'
where s.title = 'second';
select is(
    pg_temp.detail_of($$ execute approve('second') $$),
    jsonb_build_object(
        'code', 'invalid_transition', 'session_id', pg_temp.session('second'), 'status', 'pending_approval',
        'asked', 'scheduled', 'reason', 'refunded'
    ),
    'one that was revived after its credit had come back is not approved for nothing'
);
select is(public.get_credit_balance(pg_temp.client()), 4, 'nor charged again');
select c.refunded from public.cancel_session(pg_temp.session('first'), p_refund => false) as c;
update public.sessions as s set status = 'pending_approval'
where s.title = 'first';
select results_eq(
    $$ execute approve('first') $$,
    $$ values ('scheduled', 4) $$,
    'one whose credit was kept has paid'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Which statuses allow it
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select o.status, o.outcome
        from pg_temp.by_status(
            pg_temp.session('any'), 'select public.approve_session(pg_temp.session(''any''))'
        ) as o
    $$,
    $$
        values
        ('pending_approval', 'done'),
        ('scheduled', 'Session status does not allow this'),
        ('confirmed', 'Session status does not allow this'),
        ('in_progress', 'Session status does not allow this'),
        ('completed', 'Session status does not allow this'),
        ('cancelled', 'Session status does not allow this'),
        ('no_show', 'Session status does not allow this')
    $$,
    'only what waits for approval can be approved'
);
select is(
    pg_temp.detail_of($$ execute approve('first') $$),
    jsonb_build_object(
        'code', 'invalid_transition', 'session_id', pg_temp.session('first'), 'status', 'scheduled',
        'asked', 'scheduled'
    ),
    'the error says from what to what'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (text, text) as
select
    a.id,
    a.status::text,
    a.credits_balance
from public.approve_session(pg_temp.session($1), $2) as a;
create temporary table first_answer on commit drop as
select
    a.id,
    a.status::text as status,
    a.credits_balance
from public.approve_session(pg_temp.session('keyed'), 'a key') as a;
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
select results_eq(
    $$ execute keyed('keyed', 'a key') $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same session and the first balance'
);
select is(public.get_credit_balance(pg_temp.client()), 8, 'and takes no second credit');
select throws_ok(
    $$ execute keyed('keyed, too', 'a key') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key for another session of the client'
);
set local role authenticated;
select results_eq(
    $$ execute keyed('keyed', 'a key') $$,
    $$ values (pg_temp.session('keyed'), 'scheduled', null::integer) $$,
    'the therapist is not told the balance here, either'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.approve_session(%L, %L)', r.session_id, r.key), r.sqlstate, r.message, r.name
    )
from (
    values
    (null, null, 'PT400', 'Invalid session ID format', 'no session'),
    (pg_temp.stranger(), null, 'PT404', 'Session not found', 'a session that nobody knows'),
    (pg_temp.session('any'), '', 'PT400', 'Invalid parameter', 'an empty key'),
    (pg_temp.session('any'), repeat('k', 256), 'PT400', 'Invalid parameter', 'a key of 256 characters'),
    (pg_temp.session('first'), null, 'PT409', 'Session status does not allow this', 'a second time'),
    (pg_temp.session('over'), null, 'PT400', 'Cannot book in the past', 'a session whose start is over'),
    (pg_temp.session('nobody''s'), null, 'PT404', 'User not found', 'a session without a client'),
    (pg_temp.session('some day'), null, 'PT409', 'Session status does not allow this', 'a session without a time'),
    (
        pg_temp.session('unpaid'), 'a key',
        'PT402', 'Insufficient credits: purchase credits first', 'a client without credits'
    )
) as r (session_id, key, sqlstate, message, name);
-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before update on public.sessions for each row execute function pg_temp.swallow();
select throws_ok($$ execute approve('any') $$, 'XX000', 'Booking failed', 'a change that a trigger swallows');
drop trigger swallow on public.sessions;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');

select g.lot_balance from public.grant_credits(pg_temp.poor_client(), 1) as g;
select results_eq(
    $$ execute keyed('unpaid', 'a key') $$,
    $$ values (pg_temp.session('unpaid'), 'scheduled', 0) $$,
    'a refusal does not use up the key'
);
select public.set_therapist_active(pg_temp.therapist(), false);
select throws_ok(
    $$ execute approve('any') $$, 'PT404', 'Therapist not found', 'a therapist who cannot be booked any more'
);
select public.set_therapist_active(pg_temp.therapist(), true);
update public.users as u set is_active = false
where u.id = pg_temp.client();
select throws_ok($$ execute approve('any') $$, 'PT404', 'User not found', 'a client who cannot book any more');
update public.users as u set is_active = true
where u.id = pg_temp.client();

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_strangers on commit drop as
select pg_temp.written() as written;

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute approve('any') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok($$ execute approve('any') $$, 'PT403', 'Not allowed to act for this user', 'the client itself');
select pg_temp.claim(pg_temp.other_client());
select throws_ok($$ execute approve('any') $$, 'PT403', 'Not allowed to act for this user', 'another client');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok($$ execute approve('any') $$, 'PT403', 'Not allowed to act for this user', 'another therapist');
set local role anon;
select throws_ok($$ execute approve('any') $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_strangers as b), 'strangers leave nothing behind');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
