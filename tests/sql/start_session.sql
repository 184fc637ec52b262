begin;
\ir include/setup.sql
select plan(35);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'start_session',
    array['uuid', 'text']
);
select function_lang_is('public'::name, 'start_session'::name, 'plpgsql'::name);
select function_returns('public'::name, 'start_session'::name, 'setof record');
select volatility_is('public'::name, 'start_session'::name, 'volatile');
select isnt_definer('public'::name, 'start_session'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People. Sessions are known by their titles; they have begun.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (
    values ('first', 30), ('second', 31), ('keyed', 32), ('keyed, too', 33), ('any', 34)
) as t (title, days);
update public.sessions as s
set
    start_time = now() - t.hours * interval '1 hour',
    end_time = now() - (t.hours - 1) * interval '1 hour'
from (
    values ('first', 1), ('second', 2), ('keyed', 3), ('keyed, too', 4), ('any', 5)
) as t (title, hours)
where s.title = t.title;

-- ---------------------------------------------------------------------------------------------------------------------
-- The therapist starts, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_change on commit drop as
select
    s.*,
    (select max(l.id) from bookingdb.ledger as l) as last_entry,
    (select max(a.id) from public.booking_audit_log as a) as last_audit_row,
    (select max(o.id) from bookingdb.outbox as o) as last_event
from public.sessions as s
where s.title = 'first';

prepare start (text) as
select
    c.status::text,
    c.credits_balance,
    c.refunded
from public.start_session(pg_temp.session($1)) as c;

set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$
        select c.id = pg_temp.session('first'), c.user_id, c.therapist_id, c.title::text, c.description,
            c.duration_minutes, c.session_type::text, c.status::text, c.created_at, c.time_zone, c.credits_balance,
            c.refunded
        from public.start_session(pg_temp.session('first')) as c
    $$,
    $$
        values (
            true, pg_temp.client(), pg_temp.therapist(), 'first', '', 60, 'video', 'in_progress', now(), 'UTC',
            null::integer, false
        )
    $$,
    'the therapist gets the session as it stands, without the client''s balance'
);
reset role;
select results_eq(
    $$
        select s.status::text, s.scheduled_date, s.scheduled_time, s.start_time, s.end_time, s.credits_charged,
            s.free_cancellation_until
        from public.sessions as s where s.title = 'first'
    $$,
    $$
        select 'in_progress', b.scheduled_date, b.scheduled_time, b.start_time, b.end_time, 1, b.free_cancellation_until
        from before_change as b
    $$,
    'writes the status and nothing else of the session'
);
select results_eq(
    $$ select c.kind, c.period from bookingdb.calendar as c where c.id = pg_temp.session('first') $$,
    $$ select 'session', tstzrange(b.start_time, b.end_time) from before_change as b $$,
    'keeps the session''s time'
);
select results_eq(
    $$
        select a.session_id, a.user_id, a.action, a.old_status, a.new_status, a.changes, a.actor
        from public.booking_audit_log as a
        where a.id > (select b.last_audit_row from before_change as b)
    $$,
    $$
        values (
            pg_temp.session('first'), pg_temp.client(), 'status_changed', 'scheduled', 'in_progress',
            jsonb '{"status": {"old": "scheduled", "new": "in_progress"}}', pg_temp.therapist()::text
        )
    $$,
    'writes one audit row'
);
select results_eq(
    $$
        select o.event, o.subject_id, o.payload ->> 'new_status'
        from bookingdb.outbox as o
        where o.id > (select b.last_event from before_change as b)
    $$,
    $$ values ('session.status_changed', pg_temp.session('first'), 'in_progress') $$,
    'writes one event'
);
select is(
    (select max(l.id) from bookingdb.ledger as l), (select b.last_entry from before_change as b),
    'credits stay as they are'
);
set local role service_role;
select results_eq(
    $$ execute start('second') $$,
    $$ values ('in_progress', 5, false) $$,
    'the application''s own server gets the balance'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Which statuses allow it
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select o.status, o.outcome
        from pg_temp.by_status(
            pg_temp.session('any'), 'select public.start_session(pg_temp.session(''any''))'
        ) as o
    $$,
    $$
        values
        ('pending_approval', 'Session status does not allow this'),
        ('scheduled', 'done'),
        ('confirmed', 'done'),
        ('in_progress', 'Session status does not allow this'),
        ('completed', 'Session status does not allow this'),
        ('cancelled', 'Session status does not allow this'),
        ('no_show', 'Session status does not allow this')
    $$,
    'what is scheduled or confirmed can be started'
);
select is(
    pg_temp.detail_of($$ select public.start_session(pg_temp.session('first')) $$),
    jsonb_build_object(
        'code', 'invalid_transition', 'session_id', pg_temp.session('first'), 'status', 'in_progress',
        'asked', 'in_progress'
    ),
    'the error says from what to what'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (text, text) as
select
    c.id,
    c.status::text,
    c.credits_balance
from public.start_session(pg_temp.session($1), $2) as c;
create temporary table first_answer on commit drop as
select
    c.id,
    c.status::text as status,
    c.credits_balance
from public.start_session(pg_temp.session('keyed'), 'a key') as c;
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
select results_eq(
    $$ execute keyed('keyed', 'a key') $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same session and the first balance'
);
select throws_ok(
    $$ execute keyed('keyed, too', 'a key') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key for another session of the client'
);
select lives_ok($$ execute keyed('keyed, too', 'another key') $$, 'another key');
set local role authenticated;
select results_eq(
    $$ execute keyed('keyed', 'a key') $$,
    $$ values (pg_temp.session('keyed'), 'in_progress', null::integer) $$,
    'the therapist is not told the balance here, either'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may call it
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.start_session(%L, %L)', r.session_id, r.key), r.sqlstate, r.message, r.name
    )
from (
    values
    (null, null, 'PT400', 'Invalid session ID format', 'no session'),
    (pg_temp.stranger(), null, 'PT404', 'Session not found', 'a session that nobody knows'),
    (pg_temp.session('any'), '', 'PT400', 'Invalid parameter', 'an empty key'),
    (pg_temp.session('any'), repeat('k', 256), 'PT400', 'Invalid parameter', 'a key of 256 characters'),
    (pg_temp.session('first'), null, 'PT409', 'Session status does not allow this', 'a second time'),
    (pg_temp.session('first'), 'new', 'PT409', 'Session status does not allow this', 'a second time with a key')
) as r (session_id, key, sqlstate, message, name);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute start('any') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok($$ execute start('any') $$, 'PT403', 'Not allowed to act for this user', 'the client itself');
select throws_ok(
    $$ execute keyed('keyed', 'a key') $$,
    'PT403', 'Not allowed to act for this user', 'the client, with a key that was answered'
);
select pg_temp.claim(pg_temp.other_client());
select throws_ok($$ execute start('any') $$, 'PT403', 'Not allowed to act for this user', 'another client');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok($$ execute start('any') $$, 'PT403', 'Not allowed to act for this user', 'another therapist');
set local role anon;
select throws_ok($$ execute start('any') $$, '42501', null, 'nobody without a login');
reset role;
-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before update on public.sessions for each row execute function pg_temp.swallow();
select throws_ok($$ execute start('any') $$, 'XX000', 'Booking failed', 'a change that a trigger swallows');
drop trigger swallow on public.sessions;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');

-- ---------------------------------------------------------------------------------------------------------------------
-- From when on
-- ---------------------------------------------------------------------------------------------------------------------

create function pg_temp.start_of(p_title text) returns timestamptz language plpgsql stable as $function$
begin
    return (select s.start_time from public.sessions as s where s.title = p_title);
end;
$function$;
update public.sessions as s
set
    start_time = clock_timestamp() + interval '1 hour 1 minute',
    end_time = clock_timestamp() + interval '2 hours'
where s.title = 'any';
select is(
    pg_temp.detail_of($$ select public.start_session(pg_temp.session('any')) $$),
    jsonb_build_object(
        'code', 'invalid_transition', 'session_id', pg_temp.session('any'), 'status', 'scheduled',
        'asked', 'in_progress',
        'start_time', bookingdb.utc(pg_temp.start_of('any'))
    ),
    'more than an hour before the start is too early'
);
update public.sessions as s set start_time = clock_timestamp() + interval '59 minutes'
where s.title = 'any';
select lives_ok($$ select public.start_session(pg_temp.session('any')) $$, 'a bit early is not');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
