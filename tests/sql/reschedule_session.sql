begin;
\ir include/setup.sql
select plan(106);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'reschedule_session',
    array['uuid', 'date', 'time without time zone', 'integer', 'text', 'text']
);
select function_lang_is('public'::name, 'reschedule_session'::name, 'plpgsql'::name);
select function_returns('public'::name, 'reschedule_session'::name, 'setof record');
select volatility_is('public'::name, 'reschedule_session'::name, 'volatile');
select isnt_definer('public'::name, 'reschedule_session'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist is in Berlin and books so far ahead that the clocks change. Sessions are known by their titles.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select p.maximum_advance from public.set_policy('{"maximum_advance": "400 days"}', pg_temp.therapist()) as p;
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 20) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 20) as g;
select pg_temp.book('moved', pg_temp.client(), pg_temp.therapist(), 30);

-- ---------------------------------------------------------------------------------------------------------------------
-- A move, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_move on commit drop as
select
    s.*,
    (select max(l.id) from bookingdb.ledger as l) as last_entry
from public.sessions as s
where s.title = 'moved';

set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$
        select m.id = pg_temp.session('moved'), m.user_id, m.therapist_id, m.title::text, m.description,
            m.scheduled_date, m.scheduled_time, m.start_time, m.end_time, m.duration_minutes, m.session_type::text,
            m.status::text, m.created_at, m.time_zone, m.credits_balance, m.free_cancellation_until, m.refunded
        from public.reschedule_session(pg_temp.session('moved'), current_date + 40, '23:30', 90) as m
    $$,
    $$
        values (
            true, pg_temp.client(), pg_temp.therapist(), 'moved', '',
            current_date + 40, time '23:30',
            (current_date + 40 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 40 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            90, 'video', 'scheduled', now(), 'Europe/Berlin', 19,
            (current_date + 40 + time '23:30') at time zone 'Europe/Berlin' - interval '24 hours', false
        )
    $$,
    'returns the same session at its new time, and the balance'
);
reset role;
select results_eq(
    $$
        select s.id, s.scheduled_date, s.scheduled_time, s.start_time, s.end_time, s.duration_minutes,
            s.status::text, s.time_zone, s.credits_charged, s.free_cancellation_until
        from public.sessions as s where s.title = 'moved'
    $$,
    $$
        select b.id, current_date + 40, time '23:30',
            (current_date + 40 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 40 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            90, 'scheduled', 'Europe/Berlin', 1,
            (current_date + 40 + time '23:30') at time zone 'Europe/Berlin' - interval '24 hours'
        from before_move as b
    $$,
    'writes the session as it returned it; the free window moves along'
);
select results_eq(
    $$
        select c.id, c.kind, c.therapist_id, c.client_id, c.period, c.blocked, c.expires_at
        from bookingdb.calendar as c
    $$,
    $$
        select s.id, 'session', s.therapist_id, s.user_id, tstzrange(s.start_time, s.end_time),
            tstzrange(s.start_time, s.end_time), null::timestamptz
        from public.sessions as s where s.title = 'moved'
    $$,
    'moves its row of the calendar'
);
select is(
    (select max(l.id) from bookingdb.ledger as l), (select b.last_entry from before_move as b),
    'carries the credit over: nothing is written to the ledger'
);
select results_eq(
    $$
        select a.action, a.old_status, a.new_status, a.actor, array(select jsonb_object_keys(a.changes) order by 1)
        from public.booking_audit_log as a
        where a.session_id = pg_temp.session('moved') and a.action <> 'created'
    $$,
    $$
        values (
            'updated', 'scheduled', 'scheduled', pg_temp.client()::text,
            array[
                'duration_minutes', 'end_time', 'free_cancellation_until', 'scheduled_date', 'scheduled_time',
                'start_time'
            ]
        )
    $$,
    'writes one audit row'
);
select results_eq(
    $$
        select (a.changes #>> '{start_time,old}')::timestamptz, (a.changes #>> '{start_time,new}')::timestamptz,
            (a.changes #>> '{end_time,old}')::timestamptz, (a.changes #>> '{end_time,new}')::timestamptz
        from public.booking_audit_log as a
        where a.session_id = pg_temp.session('moved') and a.action = 'updated'
    $$,
    $$
        select b.start_time, s.start_time, b.end_time, s.end_time
        from before_move as b
        inner join public.sessions as s on s.id = b.id
    $$,
    'with the old and the new times'
);
select results_eq(
    $$
        select o.event, (o.payload ->> 'start_time')::timestamptz
        from bookingdb.outbox as o where o.subject_id = pg_temp.session('moved') and o.event <> 'session.created'
    $$,
    $$ select 'session.updated', s.start_time from public.sessions as s where s.title = 'moved' $$,
    'writes one event'
);
select lives_ok(
    $$ select pg_temp.book('in its place', pg_temp.other_client(), pg_temp.therapist(), 30) $$,
    'the old time is free at once'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Times and zones
-- ---------------------------------------------------------------------------------------------------------------------

prepare move (text, integer, time, integer, text) as
select
    m.start_time,
    m.duration_minutes,
    m.time_zone
from public.reschedule_session(pg_temp.session($1), current_date + $2, $3, $4, $5) as m;

select results_eq(
    $$ execute move('moved', 41, '09:00', null, null) $$,
    $$ values ((current_date + 41 + time '09:00') at time zone 'Europe/Berlin', 90, 'Europe/Berlin') $$,
    'without a duration and a zone it keeps its own'
);
select results_eq(
    $$ execute move('moved', 41, '09:30', null, null) $$,
    $$ values ((current_date + 41 + time '09:30') at time zone 'Europe/Berlin', 90, 'Europe/Berlin') $$,
    'its own time is not in its way'
);
select results_eq(
    $$ execute move('moved', 41, '09:30', 15, 'Asia/Kathmandu') $$,
    $$ values ((current_date + 41 + time '09:30') at time zone 'Asia/Kathmandu', 15, 'Asia/Kathmandu') $$,
    'a zone that is given counts'
);
select results_eq(
    $$ execute move('moved', 41, '10:00', null, null) $$,
    $$ values ((current_date + 41 + time '10:00') at time zone 'Asia/Kathmandu', 15, 'Asia/Kathmandu') $$,
    'and is the session''s own from then on'
);
select results_eq(
    $$
        select m.start_time
        from public.reschedule_session(
            pg_temp.session('moved'), pg_temp.clock_change('Europe/Berlin', false), '02:30',
            p_time_zone => 'Europe/Berlin'
        ) as m
    $$,
    $$ values ((pg_temp.clock_change('Europe/Berlin', false) + time '00:30') at time zone 'UTC') $$,
    'of a time that occurs twice it is the first'
);
create temporary table audit_rows on commit drop as
select count(*) as number from public.booking_audit_log;
select lives_ok(
    $$
        select public.reschedule_session(
            pg_temp.session('moved'), pg_temp.clock_change('Europe/Berlin', false), '02:30'
        )
    $$,
    'a session may be moved to where it is'
);
select is(
    (select count(*) from public.booking_audit_log), (select a.number from audit_rows as a),
    'of which there is nothing to tell'
);
select is(
    (
        select count(*) from bookingdb.ledger as l
        where l.session_id = pg_temp.session('moved')
    ), 1::bigint,
    'however often it is moved, it is paid once'
);

insert into public.sessions (user_id, therapist_id, title, start_time, end_time)
values (
    pg_temp.client(), pg_temp.other_therapist(), 'written', now() + interval '45 days',
    now() + interval '45 days 50 minutes'
);
select results_eq(
    $$ execute move('written', 46, '10:00', null, null) $$,
    $$ values ((current_date + 46 + time '10:00') at time zone 'UTC', 50, 'UTC') $$,
    'a session that was written without duration and zone is as long as it was, in its therapist''s zone'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- The free window. It closed a second ago for 'late'; 'no deal' was booked before there was one.
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book(t.title, pg_temp.client(), pg_temp.other_therapist(), t.days)
from (values ('late', 50), ('therapist''s', 51), ('no deal', 52), ('no deal, late', 53)) as t (title, days);
update public.sessions as s set free_cancellation_until = now() - interval '1 second'
where s.title in ('late', 'therapist''s');
update public.sessions as s set free_cancellation_until = null
where s.title like 'no deal%';
update public.sessions as s set start_time = now() + interval '2 hours', end_time = now() + interval '3 hours'
where s.title = 'no deal, late';

set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$
        select m.free_cancellation_until
        from public.reschedule_session(pg_temp.session('late'), current_date + 60, '12:00') as m
    $$,
    array[now() - interval '1 second'],
    'a client does not open a window again that had closed'
);
select results_eq(
    $$ select c.refunded from public.cancel_session(pg_temp.session('late')) as c $$,
    array[false],
    'by moving the session and cancelling it then'
);
select results_eq(
    $$
        select m.start_time - m.free_cancellation_until
        from public.reschedule_session(pg_temp.session('no deal'), current_date + 61, '12:00') as m
    $$,
    array[interval '24 hours'],
    'a session without a deal gets that of today''s policy'
);
select results_eq(
    $$
        select m.free_cancellation_until
        from public.reschedule_session(pg_temp.session('no deal, late'), current_date + 62, '12:00') as m
    $$,
    array[now() - interval '22 hours'],
    'also the window that has closed'
);
select pg_temp.claim(pg_temp.other_therapist());
select results_eq(
    $$
        select m.start_time - m.free_cancellation_until, m.credits_balance
        from public.reschedule_session(pg_temp.session('therapist''s'), current_date + 63, '12:00') as m
    $$,
    $$
        values (
            (current_date + 51 + time '10:00') at time zone 'UTC' - (now() - interval '1 second'), null::integer
        )
    $$,
    'when the therapist moves it, the window moves along, however late; the therapist is not told the balance'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Statuses
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book('in each status', pg_temp.client(), pg_temp.other_therapist(), 70);
select results_eq(
    $$
        select o.status, o.outcome
        from pg_temp.by_status(
            pg_temp.session('in each status'),
            'select public.reschedule_session(pg_temp.session(''in each status''), current_date + 71, ''12:00'')'
        ) as o
    $$,
    $$
        values
        ('pending_approval', 'done'), ('scheduled', 'done'), ('confirmed', 'done'),
        ('in_progress', 'Session status does not allow this'), ('completed', 'Session status does not allow this'),
        ('cancelled', 'Session status does not allow this'), ('no_show', 'Session status does not allow this')
    $$,
    'what is under way or over cannot be moved by anyone'
);
update public.sessions as s set status = 'confirmed'
where s.title = 'in each status';
select results_eq(
    $$
        select m.status::text
        from public.reschedule_session(pg_temp.session('in each status'), current_date + 71, '12:00') as m
    $$,
    array['confirmed'],
    'what is confirmed stays so'
);
update public.sessions as s set start_time = now() - interval '1 minute', end_time = now() + interval '59 minutes'
where s.title = 'in each status';
select throws_ok(
    $$ execute move('in each status', 72, '12:00', null, null) $$,
    'PT409', 'Session status does not allow this', 'nor what has begun'
);
select is(
    pg_temp.detail_of($$ execute move('in each status', 72, '12:00', null, null) $$) - 'start_time',
    jsonb_build_object(
        'code', 'invalid_transition', 'session_id', pg_temp.session('in each status'), 'status', 'confirmed'
    ),
    'the error says which session, and its status'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book(t.title, pg_temp.client(), pg_temp.therapist(), t.days)
from (values ('keyed', 80), ('keyed, too', 81)) as t (title, days);
prepare keyed (text, integer, integer, text) as
select
    m.id,
    m.start_time,
    m.credits_balance
from public.reschedule_session(pg_temp.session($1), current_date + $2, '12:00', $3, $4, 'a key') as m;
create temporary table first_answer on commit drop as
select
    m.id,
    m.start_time,
    m.credits_balance
from public.reschedule_session(
    pg_temp.session('keyed'), current_date + 82, '12:00', 60, 'UTC', 'a key'
) as m;
select g.lot_balance from public.grant_credits(pg_temp.client(), 1) as g;
select results_eq(
    $$ execute keyed('keyed', 82, 60, 'UTC') $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same session and the first balance'
);
set local datestyle = 'SQL, DMY';
set local intervalstyle = 'sql_standard';
select results_eq(
    $$ execute keyed('keyed', 82, 60, 'UTC') $$,
    'select f.* from first_answer as f',
    'a key is recognised however the connection shows dates and intervals'
);
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
select lives_ok($$ execute move('keyed', 83, '12:00', null, null) $$, 'when it was moved once more since');
select results_eq(
    $$ execute keyed('keyed', 82, 60, 'UTC') $$,
    $$
        select f.id, (current_date + 83 + time '12:00') at time zone 'UTC', f.credits_balance
        from first_answer as f
    $$,
    'the key is answered with the session as it stands, and does not move it back'
);
select
    throws_ok(
        format('execute keyed(%L, %L, %L, %L)', r.title, r.days, r.duration, r.zone),
        'PT422', 'Idempotency key was used with other parameters', r.name
    )
from (
    values
    ('keyed, too', 82, 60, 'UTC', 'the same key for another session'),
    ('keyed', 84, 60, 'UTC', 'the same key for another date'),
    ('keyed', 82, 45, 'UTC', 'the same key for another duration'),
    ('keyed', 82, null, 'UTC', 'the same key without a duration'),
    ('keyed', 82, 60, 'Europe/Berlin', 'the same key for another zone')
) as r (title, days, duration, zone, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals: everything that a booking is refused for. The session stays where it is.
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book('refused', pg_temp.client(), pg_temp.therapist(), 90);
select pg_temp.book('in the way', pg_temp.other_client(), pg_temp.therapist(), 91, '23:30');
select pg_temp.book('elsewhere', pg_temp.client(), pg_temp.other_therapist(), 93);
select h.id from public.hold_slot(pg_temp.other_client(), pg_temp.therapist(), current_date + 94, '10:00') as h;
insert into bookingdb.calendar (kind, therapist_id, period, blocked)
select
    'time_off' as kind,
    pg_temp.therapist() as therapist_id,
    p.period,
    p.period as blocked
from (values (tstzrange(now() + interval '100 days', now() + interval '110 days'))) as p (period);
select p.maximum_duration_minutes
from public.set_policy('{"maximum_duration_minutes": 90}', pg_temp.therapist()) as p;
insert into public.sessions (user_id, therapist_id, title, start_time, end_time, duration_minutes)
select
    p.user_id,
    p.therapist_id,
    p.title,
    now() + p.days * interval '1 day' as start_time,
    now() + p.days * interval '1 day' + interval '1 hour' as end_time,
    60 as duration_minutes
from (
    values
    (null, pg_temp.other_therapist(), 'nobody''s', 200),
    (pg_temp.client(), null, 'alone', 201)
) as p (user_id, therapist_id, title, days);

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format(
            'select public.reschedule_session(%L, %L, %L, %L, %L, %L)',
            r.session_id, r.date, r.time, r.duration, r.zone, r.key
        ),
        r.sqlstate, r.message, r.name
    )
from (
    select
        v.date,
        v.time,
        v.duration,
        v.zone,
        v.key,
        v.sqlstate,
        v.message,
        v.name,
        coalesce(v.session_id, pg_temp.session('refused')) as session_id
    from (
        values
        (pg_temp.stranger(), current_date + 95, '10:00', null, null, null, 'PT404', 'Session not found', 'unknown'),
        (null, current_date + 95, '10:00', 0, null, null, 'PT400', 'Duration must be 15-180 minutes', '0 minutes'),
        (null, current_date + 95, '10:00', 14, null, null, 'PT400', 'Duration must be 15-180 minutes', '14 minutes'),
        (null, current_date + 95, '10:00', 181, null, null, 'PT400', 'Duration must be 15-180 minutes', '181 minutes'),
        (
            null, current_date + 95, '10:00', 91, null, null,
            'PT400', 'Duration must be 15-180 minutes', 'more than the therapist''s policy allows'
        ),
        (null, null, '10:00', null, null, null, 'PT400', 'Invalid date format', 'no date'),
        (null, 'infinity', '10:00', null, null, null, 'PT400', 'Invalid date format', 'a date that never comes'),
        (null, current_date + 95, null, null, null, null, 'PT400', 'Invalid time format', 'no time'),
        (null, current_date + 95, '10:00:01', null, null, null, 'PT400', 'Invalid time format', 'a time with seconds'),
        (null, current_date + 95, '10:00', null, 'Mars+5', null, 'PT400', 'Invalid time zone', 'a zone of Mars'),
        (
            null, '2030-03-31', '02:30', null, null, null,
            'PT400', 'Invalid time: skipped by a clock change', 'a time that the clocks jump over'
        ),
        (null, current_date - 2, '10:00', null, null, null, 'PT400', 'Cannot book in the past', 'a start that is over'),
        (
            null, current_date + 92, '00:00', null, null, null,
            'PT409', 'Booking conflict: time slot unavailable', 'a session that reaches into it'
        ),
        (
            null, current_date + 94, '10:30', null, null, null,
            'PT409', 'Booking conflict: time slot unavailable', 'somebody''s hold'
        ),
        (
            null, current_date + 105, '10:30', null, null, null,
            'PT409', 'Booking conflict: time slot unavailable', 'the therapist''s time off'
        ),
        (
            null, current_date + 93, '10:30', null, 'UTC', null,
            'PT409', 'Booking conflict: you already have a session at this time', 'the client''s other session'
        ),
        (null, current_date + 95, '10:00', null, null, '', 'PT400', 'Invalid parameter', 'an empty key'),
        (
            null, current_date + 95, '10:00', null, null, repeat('k', 256),
            'PT400', 'Invalid parameter', 'a key of 256 characters'
        ),
        (
            pg_temp.session('nobody''s'), current_date + 95, '10:00', null, null, null,
            'PT404', 'User not found', 'a session without a client'
        ),
        (
            pg_temp.session('alone'), current_date + 95, '10:00', null, null, null,
            'PT404', 'Therapist not found', 'a session without a therapist'
        )
    ) as v (session_id, date, time, duration, zone, key, sqlstate, message, name)
) as r;
select throws_ok(
    $$ select public.reschedule_session(null, current_date + 95, '10:00') $$,
    'PT400', 'Invalid session ID format', 'no session'
);
-- A trigger of the application that swallows the change makes the call fail as a whole.
create trigger swallow before update on public.sessions for each row execute function pg_temp.swallow();
select throws_ok(
    $$ execute move('refused', 95, '10:00', null, null) $$, 'XX000', 'Booking failed',
    'a change that a trigger swallows'
);
drop trigger swallow on public.sessions;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');

update public.users as u set is_active = false
where u.id = pg_temp.other_client();
select throws_ok(
    $$ select public.reschedule_session(pg_temp.session('in the way'), current_date + 95, '10:00') $$,
    'PT404', 'User not found', 'a client who cannot book any more'
);
update public.users as u set is_active = true
where u.id = pg_temp.other_client();
select public.set_therapist_active(pg_temp.therapist(), false);
select throws_ok(
    $$ execute move('refused', 95, '10:00', null, null) $$,
    'PT404', 'Therapist not found', 'a therapist who cannot be booked any more'
);
select public.set_therapist_active(pg_temp.therapist(), true);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute move('refused', 96, '10:00', null, null) $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_client());
select throws_ok(
    $$ execute move('refused', 96, '10:00', null, null) $$,
    'PT403', 'Not allowed to act for this user', 'another client'
);
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok(
    $$ execute move('refused', 96, '10:00', null, null) $$,
    'PT403', 'Not allowed to act for this user', 'another therapist'
);
set local role anon;
select throws_ok($$ execute move('refused', 96, '10:00', null, null) $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'nor do these leave anything behind');
set local role service_role;
select lives_ok($$ execute move('refused', 96, '10:00', null, null) $$, 'the application''s own server');
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- When the therapist can be booked
-- ---------------------------------------------------------------------------------------------------------------------

\ir include/availability.sql
select pg_temp.book(
    'ruled', pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 35 - current_date, '09:00'
);
select is(r.outcome, r.expected, r.name)
from pg_temp.by_rule(
    'public.reschedule_session(pg_temp.session(''ruled''), %L, %L, %s)'
) as r;
select d.override_date
from public.set_date_override(pg_temp.third_therapist(), pg_temp.monday() + 8, '[]') as d;
select throws_ok(
    $$
        select public.reschedule_session(pg_temp.session('ruled'), pg_temp.monday() + 8, '10:00')
    $$,
    'PT409', 'Booking conflict: outside available hours', 'the error of a time outside of the hours'
);

select p.maximum_sessions_per_day
from public.set_policy(
    '{"maximum_sessions_per_day": 1, "buffer_before_minutes": 30}', pg_temp.third_therapist()
) as p;
select lives_ok(
    $$ select public.reschedule_session(pg_temp.session('ruled'), pg_temp.monday() + 35, '09:45') $$,
    'neither does a session fill the day for itself, nor is its buffer in its way'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
