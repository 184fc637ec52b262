-- Every file here runs in one transaction that it rolls back, on a database with bookingdb and pgTAP in it, as its
-- owner or a superuser. `make test` runs them all (tests/sql/test_pgtap.py); without Python:
--
--     pg_prove --ext .sql tests/sql/*.sql
--     psql --no-psqlrc --tuples-only --no-align --quiet --set ON_ERROR_STOP=1 --file tests/sql/get_credit_balance.sql
begin;
\ir include/setup.sql
select plan(101);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'create_session_with_credit_deduction',
    array[
        'uuid', 'uuid', 'date', 'time without time zone', 'integer', 'character varying', 'text', 'text', 'text', 'text'
    ]
);
select function_lang_is('public'::name, 'create_session_with_credit_deduction'::name, 'plpgsql'::name);
select function_returns('public'::name, 'create_session_with_credit_deduction'::name, 'setof record');
select volatility_is('public'::name, 'create_session_with_credit_deduction'::name, 'volatile');
select isnt_definer('public'::name, 'create_session_with_credit_deduction'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist is in Berlin, the other one where the default policy is; the client has 2 credits, the other
-- one 1 that expires soon and 1 that does not, the poor one none.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist());
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 2) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 1) as g;
select g.lot_balance
from public.grant_credits(pg_temp.other_client(), 1, p_expires_at => now() + interval '60 days') as g;

-- ---------------------------------------------------------------------------------------------------------------------
-- A booking, and everything it writes
-- ---------------------------------------------------------------------------------------------------------------------

prepare booking as
select
    b.user_id,
    b.therapist_id,
    b.title::text,
    b.description,
    b.scheduled_date,
    b.scheduled_time,
    b.start_time,
    b.end_time,
    b.duration_minutes,
    b.session_type::text,
    b.status::text,
    b.created_at,
    b.time_zone,
    b.credits_balance
from public.create_session_with_credit_deduction(
    p_user_id => pg_temp.client(),
    p_therapist_id => pg_temp.therapist(),
    p_session_date => current_date + 30,
    p_session_time => '23:30',
    p_duration_minutes => 90,
    p_notes => 'about sleep'
) as b;

select results_eq(
    'booking',
    $$
        values (
            pg_temp.client(), pg_temp.therapist(),
            'Therapy Session', 'about sleep', current_date + 30, time '23:30',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            90, 'video', 'scheduled', now(), 'Europe/Berlin', 1
        )
    $$,
    'returns the session, in the zone of its therapist, and the balance left'
);
select results_eq(
    $$
        select s.user_id, s.therapist_id, s.title::text, s.description, s.scheduled_date, s.scheduled_time,
            s.start_time, s.end_time, s.duration_minutes, s.session_type::text, s.status::text, s.time_zone,
            s.credits_charged
        from public.sessions as s where s.user_id = pg_temp.client()
    $$,
    $$
        values (
            pg_temp.client(), pg_temp.therapist(),
            'Therapy Session', 'about sleep', current_date + 30, time '23:30',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            90, 'video', 'scheduled', 'Europe/Berlin', 1
        )
    $$,
    'writes the session as it returned it'
);
select results_eq(
    $$
        select c.kind, c.therapist_id, c.client_id, c.period, c.blocked, c.expires_at
        from bookingdb.calendar as c
        inner join public.sessions as s on s.id = c.id
        where s.user_id = pg_temp.client()
    $$,
    $$
        select 'session', s.therapist_id, s.user_id, tstzrange(s.start_time, s.end_time),
            tstzrange(s.start_time, s.end_time), null::timestamptz
        from public.sessions as s where s.user_id = pg_temp.client()
    $$,
    'writes the calendar row of the session'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.session_id
        from bookingdb.ledger as l where l.user_id = pg_temp.client() order by l.id
    $$,
    $$
        select 'grant', 2, 2, null::uuid
        union all
        select 'debit', -1, 1, s.id from public.sessions as s where s.user_id = pg_temp.client()
    $$,
    'writes one debit of one credit'
);
select results_eq(
    $$
        select c.credits_balance, c.credits_purchased, c.credits_used, c.credits_expired
        from public.user_credits as c where c.user_id = pg_temp.client()
    $$,
    'values (1, 2, 1, 0)',
    'takes the credit from the lot'
);
select results_eq(
    $$
        select a.session_id, a.action, a.old_status, a.new_status, a.changes, a.actor
        from public.booking_audit_log as a where a.user_id = pg_temp.client()
    $$,
    $$
        select s.id, 'created', null::text, 'scheduled', '{}'::jsonb, current_user::text collate "default"
        from public.sessions as s where s.user_id = pg_temp.client()
    $$,
    'writes one audit row'
);
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o
        where o.payload ->> 'user_id' = pg_temp.client()::text and o.event <> 'credits.granted'
    $$,
    $$
        select 'session.created', s.id
        from public.sessions as s where s.user_id = pg_temp.client()
    $$,
    'writes one event'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Zones, lots, defaults
-- ---------------------------------------------------------------------------------------------------------------------

select is(
    (
        select b.time_zone
        from public.create_session_with_credit_deduction(
            pg_temp.other_client(), pg_temp.other_therapist(), current_date + 31, '09:00'
        ) as b
    ),
    (
        select p.time_zone from bookingdb.policies as p
        where p.therapist_id is null
    ),
    'a therapist without a zone is booked in that of the default policy'
);
select results_eq(
    $$
        select c.expires_at is null, c.credits_balance
        from public.user_credits as c where c.user_id = pg_temp.other_client() order by 1
    $$,
    'values (false, 0), (true, 1)',
    'the credit that expires soonest is spent first'
);
select is(
    (
        select b.start_time
        from public.create_session_with_credit_deduction(
            pg_temp.other_client(), pg_temp.therapist(), current_date + 32, '09:00',
            p_time_zone => 'Asia/Kathmandu'
        ) as b
    ),
    (current_date + 32 + time '09:00') at time zone 'Asia/Kathmandu',
    'a zone given with the call goes before the therapist''s'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals. The client has 1 credit, the other one none any more.
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select
    (select count(*) from public.sessions) as sessions,
    (select count(*) from bookingdb.calendar) as calendar,
    (select count(*) from bookingdb.ledger) as ledger,
    (select count(*) from public.booking_audit_log) as audit,
    (select count(*) from bookingdb.outbox) as events,
    (select sum(c.credits_balance) from public.user_credits as c) as credits;

prepare book (uuid, uuid, date, time, integer, varchar, text, text, text, text) as
select b.id from public.create_session_with_credit_deduction($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as b;

select throws_ok(
    $$
        execute book(
            null, pg_temp.therapist(), current_date + 40, '10:00', 60, 'video', '', 'T', null, null
        )
    $$,
    'PT400', 'Invalid user ID format', 'no user'
);
select throws_ok(
    $$
        execute book(
            pg_temp.client(), null, current_date + 40, '10:00', 60, 'video', '', 'T', null, null
        )
    $$,
    'PT400', 'Invalid therapist ID format', 'no therapist'
);
select
    throws_ok(
        format(
            $$
            execute book(
                pg_temp.client(), pg_temp.therapist(), current_date + 40,
                '10:00', %L, 'video', '', 'T', null, null
            )
        $$,
            d.duration
        ),
        'PT400', 'Duration must be 15-180 minutes', format('a duration of %s minutes', coalesce(d.duration, 'null'))
    )
from (values (null), ('0'), ('-60'), ('14'), ('181'), ('100000')) as d (duration);
select
    throws_ok(
        format(
            $$
            execute book(
                pg_temp.client(), pg_temp.therapist(), %L,
                '10:00', 60, 'video', '', 'T', null, null
            )
        $$,
            d.date
        ),
        'PT400', 'Invalid date format', format('the date %s', coalesce(d.date, 'null'))
    )
from (values (null), ('infinity'), ('1899-12-31'), ('3000-01-01'), ('0044-03-15 BC')) as d (date);
select
    throws_ok(
        format(
            $$
            execute book(
                pg_temp.client(), pg_temp.therapist(), current_date + 40,
                %L, 60, 'video', '', 'T', null, null
            )
        $$,
            t.time
        ),
        'PT400', 'Invalid time format', format('the time %s', coalesce(t.time, 'null'))
    )
from (values (null), ('24:00'), ('10:00:01'), ('10:00:00.5')) as t (time);
select
    throws_ok(
        format(
            $$
            execute book(
                pg_temp.client(), pg_temp.therapist(), current_date + 40,
                '10:00', 60, 'video', '', 'T', %L, null
            )
        $$,
            z.zone
        ),
        'PT400', 'Invalid time zone', format('the zone %s', z.zone)
    )
from (values (''), ('Mars/Olympus'), ('Mars+5'), ('europe/berlin'), ('CEST')) as z (zone);
select throws_ok(
    $$
        execute book(
            pg_temp.client(), pg_temp.therapist(), '2030-03-31', '02:30', 60,
            'video', '', 'T', 'Europe/Berlin', null
        )
    $$,
    'PT400', 'Invalid time: skipped by a clock change', 'a time that the clocks jump over'
);
select
    throws_ok(
        format(
            $$
            execute book(
                pg_temp.client(), pg_temp.therapist(), current_date + 40,
                '10:00', 60, %L, %L, %L, null, %L
            )
        $$,
            p.session_type, p.notes, p.title, p.key
        ),
        'PT400', 'Invalid parameter', p.name
    )
from (
    values
    (null, '', 'T', null, 'no session type'),
    ('', '', 'T', null, 'an empty session type'),
    (repeat('v', 51), '', 'T', null, 'a session type of 51 characters'),
    ('video', repeat('n', 10001), 'T', null, 'notes of 10001 characters'),
    ('video', '', null, null, 'no title'),
    ('video', '', repeat('t', 256), null, 'a title of 256 characters'),
    ('video', '', 'T', '', 'an empty idempotency key'),
    ('video', '', 'T', repeat('k', 256), 'an idempotency key of 256 characters')
) as p (session_type, notes, title, key, name);
select throws_ok(
    $$
        execute book(
            pg_temp.client(), pg_temp.stranger(), current_date + 40, '10:00',
            60, 'video', '', 'T', null, null
        )
    $$,
    'PT404', 'Therapist not found', 'a therapist that nobody knows'
);
select throws_ok(
    $$
        execute book(
            pg_temp.stranger(), pg_temp.therapist(), current_date + 40, '10:00',
            60, 'video', '', 'T', null, null
        )
    $$,
    'PT404', 'User not found', 'a user that nobody knows'
);
select throws_ok(
    $$
        execute book(
            pg_temp.client(), pg_temp.therapist(), current_date - 2, '10:00',
            60, 'video', '', 'T', null, null
        )
    $$,
    'PT400', 'Cannot book in the past', 'a start that is over'
);
select throws_ok(
    $$
        execute book(
            pg_temp.poor_client(), pg_temp.therapist(), current_date + 31, '00:30',
            60, 'video', '', 'T', null, null
        )
    $$,
    'PT409', 'Booking conflict: time slot unavailable', 'a slot that a session of the day before reaches into'
);
select throws_ok(
    $$
        execute book(
            pg_temp.client(), pg_temp.other_therapist(), current_date + 31, '00:30',
            60, 'video', '', 'T', 'Europe/Berlin', null
        )
    $$,
    'PT409', 'Booking conflict: you already have a session at this time', 'a client with another therapist at that time'
);
select throws_ok(
    $$
        execute book(
            pg_temp.poor_client(), pg_temp.therapist(), current_date + 40, '10:00',
            60, 'video', '', 'T', null, null
        )
    $$,
    'PT402', 'Insufficient credits: purchase credits first', 'a client without credits'
);
select results_eq(
    $$
        select
            (select count(*) from public.sessions),
            (select count(*) from bookingdb.calendar),
            (select count(*) from bookingdb.ledger),
            (select count(*) from public.booking_audit_log),
            (select count(*) from bookingdb.outbox),
            (select sum(c.credits_balance) from public.user_credits as c)
    $$,
    'select b.* from before_refusals as b',
    'refusals leave nothing behind'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (text) as
select
    b.id,
    b.credits_balance
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.other_therapist(), current_date + 50, '10:00',
    p_title => $1, p_idempotency_key => 'a key'
) as b;

create temporary table first_answer on commit drop as
select
    b.id,
    b.credits_balance
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.other_therapist(), current_date + 50, '10:00',
    p_title => 'T', p_idempotency_key => 'a key'
) as b;
select results_eq(
    $$ execute keyed('T') $$,
    'select f.* from first_answer as f',
    'the same request again is answered with the same session'
);
select is(public.get_credit_balance(pg_temp.client()), 0, 'and no second credit');
select throws_ok(
    $$ execute keyed('another title') $$,
    'PT422', 'Idempotency key was used with other parameters', 'another request with the same key'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

select g.lot_balance from public.grant_credits(pg_temp.poor_client(), 1) as g;

set local role authenticated;
select throws_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.poor_client(), pg_temp.other_therapist(), current_date + 60, '10:00'
        )
    $$,
    'PT401', 'Not authenticated', 'a role of logged-in users without a user'
);
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.poor_client(), pg_temp.other_therapist(), current_date + 60, '10:00'
        )
    $$,
    'PT403', 'Not allowed to act for this user', 'a user for another user'
);
select pg_temp.claim(pg_temp.poor_client());
select lives_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.poor_client(), pg_temp.other_therapist(), current_date + 60, '10:00'
        )
    $$,
    'a user for itself'
);
set local role anon;
select throws_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.poor_client(), pg_temp.other_therapist(), current_date + 61, '10:00'
        )
    $$,
    '42501', null, 'nobody without a login'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- When the therapist can be booked
-- ---------------------------------------------------------------------------------------------------------------------

\ir include/availability.sql
select is(r.outcome, r.expected, r.name)
from pg_temp.by_rule(
    'public.create_session_with_credit_deduction(pg_temp.fourth_client(), pg_temp.third_therapist(), %L, %L, %s)'
) as r;
select d.override_date
from public.set_date_override(pg_temp.third_therapist(), pg_temp.monday() + 8, '[]') as d;
select throws_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 8, '10:00'
        )
    $$,
    'PT409', 'Booking conflict: outside available hours', 'the error of a time outside of the hours'
);

select is(
    pg_temp.detail_of(
        $$
            select public.create_session_with_credit_deduction(
                pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 8, '10:00'
            )
        $$
    ),
    jsonb_build_object(
        'code', 'outside_availability', 'rule', 'date_override', 'therapist_id', pg_temp.third_therapist(),
        'start_time', bookingdb.utc(pg_temp.at(8, '10:00')), 'end_time', bookingdb.utc(pg_temp.at(8, '11:00')),
        'next_free', bookingdb.utc(pg_temp.at(9, '00:00'))
    ),
    'what DETAIL says'
);
-- Who writes directly is bound by what would be two at a time, and not by hours, notice and limits.
select p.buffer_after_minutes
from public.set_policy(
    '{"buffer_after_minutes": 15, "minimum_notice": "30 days", "maximum_sessions_per_day": 1}',
    pg_temp.third_therapist()
) as p;
prepare write (integer, time, time) as
insert into public.sessions (user_id, therapist_id, start_time, end_time)
values (pg_temp.poor_client(), pg_temp.third_therapist(), pg_temp.at($1, $2), pg_temp.at($1, $3));
select lives_ok($$ execute write(8, '10:00', '11:00') $$, 'a session that is written on a closed date');
select lives_ok($$ execute write(8, '11:15', '12:00') $$, 'at the distance of a buffer');
select
    throws_ok(
        format('execute write(%s, %L, %L)', r.day, r.start_time, r.end_time),
        'PT409', 'Booking conflict: time slot unavailable', r.name
    )
from (
    values
    (8, '12:10', '13:00', 'closer than a buffer'),
    (14, '09:30', '11:00', 'over time off'),
    (14, '10:15', '11:00', 'over an appointment elsewhere')
) as r (day, start_time, end_time, name);
select p.buffer_after_minutes
from public.set_policy('{"buffer_after_minutes": null, "minimum_notice": null}', pg_temp.third_therapist()) as p;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

-- The invariants forbid what comes now: an answer that is gone.
delete from public.sessions as s using first_answer as f
where s.id = f.id;
select throws_ok(
    $$ execute keyed('T') $$, 'PT404', 'Session not found', 'a request again whose session was deleted'
);

select * from finish();
rollback;
