begin;
\ir include/setup.sql
select plan(112);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'book_series',
    array[
        'uuid', 'uuid', 'date', 'time without time zone', 'integer', 'interval', 'integer', 'character varying', 'text',
        'text', 'text', 'text'
    ]
);
select function_lang_is('public'::name, 'book_series'::name, 'plpgsql'::name);
select function_returns('public'::name, 'book_series'::name, 'setof record');
select volatility_is('public'::name, 'book_series'::name, 'volatile');
select isnt_definer('public'::name, 'book_series'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist is in Berlin, where the clocks change on 2030-03-31 and 2030-10-27. Who books so far ahead
-- needs a horizon as far.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select p.maximum_advance from public.set_policy('{"maximum_advance": "3650 days"}') as p;
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 100) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 200) as g;
select g.lot_balance from public.grant_credits(pg_temp.poor_client(), 2) as g;

-- ---------------------------------------------------------------------------------------------------------------------
-- A series, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$
        select b.user_id, b.therapist_id, b.title::text, b.description, b.scheduled_date, b.scheduled_time,
            b.start_time, b.end_time, b.duration_minutes, b.session_type::text, b.status::text, b.created_at,
            b.time_zone, b.credits_balance
        from public.book_series(
            pg_temp.client(), pg_temp.therapist(), '2030-10-13', '10:00', 4,
            p_duration_minutes => 45, p_session_type => 'phone', p_notes => 'about sleep', p_title => 'weekly'
        ) as b
    $$,
    $$
        select pg_temp.client(), pg_temp.therapist(), 'weekly', 'about sleep', o.day, time '10:00',
            o.start_time, o.start_time + interval '45 minutes', 45, 'phone', 'scheduled', now(),
            'Europe/Berlin', o.balance
        from (
            values
            (date '2030-10-13', timestamptz '2030-10-13 08:00+00', 99),
            (date '2030-10-20', timestamptz '2030-10-20 08:00+00', 98),
            (date '2030-10-27', timestamptz '2030-10-27 09:00+00', 97),
            (date '2030-11-03', timestamptz '2030-11-03 09:00+00', 96)
        ) as o (day, start_time, balance)
    $$,
    'returns the sessions in order, at the same local time on both sides of a clock change, each with its balance'
);
reset role;
select results_eq(
    $$
        select s.scheduled_date, s.start_time, s.end_time, s.status::text, s.time_zone, s.credits_charged,
            s.start_time - s.free_cancellation_until
        from public.sessions as s where s.title = 'weekly' order by s.start_time
    $$,
    $$
        select o.start_time::date, o.start_time, o.start_time + interval '45 minutes', 'scheduled', 'Europe/Berlin', 1,
            interval '24 hours'
        from (
            values
            (timestamptz '2030-10-13 08:00+00'), (timestamptz '2030-10-20 08:00+00'),
            (timestamptz '2030-10-27 09:00+00'), (timestamptz '2030-11-03 09:00+00')
        ) as o (start_time)
    $$,
    'writes the sessions as it returned them, each with a window of its own'
);
select results_eq(
    $$
        select count(*), count(distinct s.id), count(s.series_id), count(distinct s.series_id)
        from public.sessions as s where s.title = 'weekly'
    $$,
    'values (4::bigint, 4::bigint, 4::bigint, 1::bigint)',
    'of one series'
);
select results_eq(
    $$
        select c.kind, c.therapist_id, c.client_id, c.period
        from bookingdb.calendar as c order by c.period
    $$,
    $$
        select 'session', s.therapist_id, s.user_id, tstzrange(s.start_time, s.end_time)
        from public.sessions as s where s.title = 'weekly' order by s.start_time
    $$,
    'each has its calendar row'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, s.scheduled_date
        from bookingdb.ledger as l
        inner join public.sessions as s on s.id = l.session_id
        order by l.id
    $$,
    $$
        values
        ('debit', -1, 99, date '2030-10-13'), ('debit', -1, 98, '2030-10-20'),
        ('debit', -1, 97, '2030-10-27'), ('debit', -1, 96, '2030-11-03')
    $$,
    'its debit'
);
select results_eq(
    $$
        select a.action, a.new_status, a.actor, count(*)
        from public.booking_audit_log as a group by a.action, a.new_status, a.actor
    $$,
    $$ values ('created', 'scheduled', pg_temp.client()::text, 4::bigint) $$,
    'its audit row'
);
select results_eq(
    $$
        select count(*), count(distinct o.subject_id)
        from bookingdb.outbox as o where o.event = 'session.created'
    $$,
    'values (4::bigint, 4::bigint)',
    'and its event'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- How far apart
-- ---------------------------------------------------------------------------------------------------------------------

-- How many days each session is after the first.
prepare days (date, integer, interval) as
select b.scheduled_date - $1 as days
from public.book_series(pg_temp.client(), pg_temp.other_therapist(), $1, '10:00', $2, $3) as b;

select results_eq($$ execute days('2031-01-01', 3, '1 day') $$, array[0, 1, 2], 'daily');
select results_eq($$ execute days('2031-02-01', 3, '14 days') $$, array[0, 14, 28], 'every fortnight');
select results_eq($$ execute days('2031-04-01', 2, '1 year') $$, array[0, 366], 'yearly');
select results_eq($$ execute days('2031-05-01', 1, '7 days') $$, array[0], 'once');
select results_eq(
    $$
        select b.scheduled_date
        from public.book_series(
            pg_temp.client(), pg_temp.other_therapist(), '2032-01-31', '10:00', 4, '1 month'
        ) as b
    $$,
    array['2032-01-31', '2032-02-29', '2032-03-31', '2032-04-30']::date[],
    'monthly from the 31st it stays at the ends of months'
);
select results_eq(
    $$
        select b.start_time
        from public.book_series(
            pg_temp.client(), pg_temp.other_therapist(), '2030-10-26', '02:30', 3, '1 day',
            p_time_zone => 'Europe/Berlin'
        ) as b
    $$,
    array['2030-10-26 00:30+00', '2030-10-27 00:30+00', '2030-10-28 01:30+00']::timestamptz[],
    'of a local time that occurs twice it is the first'
);
select is(
    (
        select count(*) from public.book_series(
            pg_temp.other_client(), pg_temp.other_therapist(), '2034-01-01', '10:00', 52
        )
    ), 52::bigint,
    '52 sessions'
);
select results_eq(
    $$
        select b.title::text, b.session_type::text, b.description, b.duration_minutes, b.time_zone
        from public.book_series(pg_temp.client(), pg_temp.other_therapist(), '2033-01-01', '10:00', 1) as b
    $$,
    $$ values ('Therapy Session', 'video', '', 60, 'UTC') $$,
    'the defaults of a booking'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- All or none; the error names the first that failed
-- ---------------------------------------------------------------------------------------------------------------------

select b.id
from public.create_session_with_credit_deduction(
    pg_temp.other_client(), pg_temp.therapist(), '2030-01-21', '10:30'
) as b;
select b.id
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.other_therapist(), '2030-02-18', '10:30', p_time_zone => 'Europe/Berlin'
) as b;
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

prepare series (uuid, uuid, date, time, integer, interval) as
select b.id from public.book_series($1, $2, $3, $4, $5, $6) as b;

select throws_ok(
    $$ execute series(pg_temp.client(), pg_temp.therapist(), '2030-01-07', '10:00', 5, '7 days') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'the therapist is busy in the third week'
);
select is(
    pg_temp.detail_of($$ execute series(pg_temp.client(), pg_temp.therapist(), '2030-01-07', '10:00', 5, '7 days') $$),
    jsonb_build_object(
        'code', 'booking_conflict', 'therapist_id', pg_temp.therapist(), 'start_time', '2030-01-21T09:00:00Z',
        'end_time', '2030-01-21T10:00:00Z', 'rule', 'session', 'next_free', '2030-01-21T10:30:00Z',
        'occurrence', 3, 'session_date', '2030-01-21'
    ),
    'the error says so'
);
select throws_ok(
    $$ execute series(pg_temp.client(), pg_temp.therapist(), '2030-02-17', '10:00', 3, '1 day') $$,
    'PT409', 'Booking conflict: you already have a session at this time', 'the client is busy on the second day'
);
select is(
    pg_temp.detail_of($$ execute series(pg_temp.client(), pg_temp.therapist(), '2030-02-17', '10:00', 3, '1 day') $$)
    -> 'occurrence',
    '2',
    'the error says so'
);
select throws_ok(
    $$ execute series(pg_temp.poor_client(), pg_temp.therapist(), '2030-05-06', '10:00', 3, '7 days') $$,
    'PT402', 'Insufficient credits: purchase credits first', 'a client with credits for two of three'
);
select is(
    pg_temp.detail_of(
        $$ execute series(pg_temp.poor_client(), pg_temp.therapist(), '2030-05-06', '10:00', 3, '7 days') $$
    ),
    '{"code": "insufficient_credits", "credits_balance": 0, "occurrence": 3, "session_date": "2030-05-20"}',
    'the error says so'
);
select throws_ok(
    $$ execute series(pg_temp.client(), pg_temp.therapist(), '2030-03-24', '02:30', 2, '7 days') $$,
    'PT400', 'Invalid time: skipped by a clock change', 'a time that the clocks jump over in the second week'
);
select is(
    pg_temp.detail_of($$ execute series(pg_temp.client(), pg_temp.therapist(), '2030-03-24', '02:30', 2, '7 days') $$),
    '{"code": "skipped_time", "time_zone": "Europe/Berlin", "occurrence": 2, "session_date": "2030-03-31"}',
    'the error says so'
);
select throws_ok(
    $$ execute series(pg_temp.client(), pg_temp.therapist(), '2999-12-01', '10:00', 3, '1 month') $$,
    'PT400', 'Too far ahead to book', 'a series beyond the horizon'
);
select throws_ok(
    $$ execute series(pg_temp.client(), pg_temp.therapist(), current_date - 3, '10:00', 3, '7 days') $$,
    'PT400', 'Cannot book in the past', 'one that begins in the past'
);
select is(
    pg_temp.detail_of($$ execute series(pg_temp.stranger(), pg_temp.therapist(), '2030-06-03', '10:00', 3, '7 days') $$)
    - 'session_date',
    jsonb_build_object('code', 'user_not_found', 'user_id', pg_temp.stranger(), 'occurrence', 1),
    'what holds for all of them fails with the first'
);
select is(pg_temp.written(), (select b.written from before_refusals as b), 'none of a series that failed is booked');

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (integer, interval, integer, text) as
select
    b.id,
    b.scheduled_date,
    b.credits_balance
from public.book_series(
    pg_temp.other_client(), pg_temp.therapist(), '2031-01-06', '10:00', $1, $2, $3, p_title => $4,
    p_idempotency_key => 'a key'
) as b;
create temporary table first_answer on commit drop as
select
    b.id,
    b.scheduled_date,
    b.credits_balance
from public.book_series(
    pg_temp.other_client(), pg_temp.therapist(), '2031-01-06', '10:00', 3, '30 days', 60, p_title => 'keyed',
    p_idempotency_key => 'a key'
) as b;
select is(
    (select array_agg(f.credits_balance order by f.scheduled_date) from first_answer as f),
    array[146, 145, 144],
    'a series with a key'
);
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 5) as g;
select results_eq(
    $$ execute keyed(3, '30 days', 60, 'keyed') $$,
    'select f.* from first_answer as f order by f.scheduled_date',
    'the same key again is answered with the same sessions and the first balances'
);
set local timezone = 'America/New_York';
set local datestyle = 'SQL, DMY';
set local intervalstyle = 'sql_standard';
select results_eq(
    $$ execute keyed(3, '30 days', 60, 'keyed') $$,
    'select f.* from first_answer as f order by f.scheduled_date',
    'a key is recognised however the connection shows dates and intervals'
);
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local timezone = 'Pacific/Chatham';
select is(public.get_credit_balance(pg_temp.other_client()), 149, 'and takes nothing');
select
    throws_ok(
        format('execute keyed(%L, %L, %L, %L)', r.occurrences, r.every, r.duration, r.title),
        'PT422', 'Idempotency key was used with other parameters', r.name
    )
from (
    values
    (4, '30 days', 60, 'keyed', 'the same key for a longer series'),
    (3, '31 days', 60, 'keyed', 'the same key at another distance'),
    (3, '1 month', 60, 'keyed', 'a month is not 30 days'),
    (3, '30 days', 45, 'keyed', 'the same key with another duration'),
    (3, '30 days', 60, 'else', 'the same key with another title')
) as r (occurrences, every, duration, title, name);
select m.start_time
from first_answer as f
cross join lateral public.reschedule_session(f.id, '2031-06-02', '10:00') as m
where f.scheduled_date = '2031-01-06';
select results_eq(
    $$ execute keyed(3, '30 days', 60, 'keyed') $$,
    $$
        select f.id, case f.scheduled_date when '2031-01-06' then date '2031-06-02' else f.scheduled_date end,
            f.credits_balance
        from first_answer as f
        order by f.scheduled_date
    $$,
    'when a session was moved since, it is answered as it stands, and each with its first balance'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select p.maximum_duration_minutes
from public.set_policy('{"maximum_duration_minutes": 90}', pg_temp.therapist()) as p;
create temporary table before_more_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format(
            'select public.book_series(%s, %s, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L)',
            coalesce(r.user_id, 'pg_temp.client()'), coalesce(r.therapist_id, 'pg_temp.therapist()'),
            r.date, r.time, r.occurrences, r.every, r.duration, r.type, '', r.title, r.zone, r.key
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (
        'null', null, '2034-01-02', '10:00', 3, '7 days', 60, 'video', 'T', null, null,
        'PT400', 'Invalid user ID format', 'no user'
    ),
    (
        null, 'null', '2034-01-02', '10:00', 3, '7 days', 60, 'video', 'T', null, null,
        'PT400', 'Invalid therapist ID format', 'no therapist'
    ),
    (
        null, 'pg_temp.stranger()', '2034-01-02', '10:00', 3, '7 days', 60, 'video', 'T', null, null,
        'PT404', 'Therapist not found', 'a therapist that nobody knows'
    ),
    (
        null, null, '2034-01-02', '10:00', 3, '7 days', null, 'video', 'T', null, null,
        'PT400', 'Duration must be 15-180 minutes', 'no duration'
    ),
    (
        null, null, '2034-01-02', '10:00', 3, '7 days', 91, 'video', 'T', null, null,
        'PT400', 'Duration must be 15-180 minutes', 'a duration that the policy does not allow'
    ),
    (
        null, null, '2034-01-02', '10:00', 3, '7 days', 60, null, 'T', null, null,
        'PT400', 'Invalid parameter', 'no session type'
    ),
    (
        null, null, '2034-01-02', '10:00', 3, '7 days', 60, 'video', null, null, null,
        'PT400', 'Invalid parameter', 'no title'
    ),
    (
        null, null, '2034-01-02', '10:00', 3, '7 days', 60, 'video', 'T', null, '',
        'PT400', 'Invalid parameter', 'an empty key'
    ),
    (null, null, null, '10:00', 3, '7 days', 60, 'video', 'T', null, null, 'PT400', 'Invalid date format', 'no date'),
    (
        null, null, '2034-01-02', null, 3, '7 days', 60, 'video', 'T', null, null,
        'PT400', 'Invalid time format', 'no time'
    ),
    (
        null, null, '2034-01-02', '10:00', 3, '7 days', 60, 'video', 'T', 'Mars+5', null,
        'PT400', 'Invalid time zone', 'a zone of Mars'
    )
) as r (
    user_id, therapist_id, date, time, occurrences, every, duration, type, title, zone, key, sqlstate, message, name
);
select
    throws_ok(
        format(
            'execute series(pg_temp.client(), pg_temp.therapist(), ''2034-01-02'', ''10:00'', %L, ''7 days'')', r.number
        ),
        'PT400', 'Invalid parameter', format('a series of %s', coalesce(r.number, 'null'))
    )
from (values (null), ('0'), ('-1'), ('53')) as r (number);
select
    throws_ok(
        format(
            'execute series(pg_temp.client(), pg_temp.therapist(), ''2034-01-02'', ''10:00'', 3, %L)', r.every
        ),
        'PT400', 'Invalid parameter', format('every %s', coalesce(r.every, 'null'))
    )
from (
    values
    (null), ('0'), ('-7 days'), ('12 hours'), ('24 hours'), ('168 hours'), ('7 days 1 hour'), ('7 days 1 microsecond'),
    ('367 days'), ('2 years'), ('-11 months 331 days'), ('1 month -29 days')
) as r (every);

-- Errors of the application's own pass as they are.
create function pg_temp.refuse() returns trigger language plpgsql as $function$
begin
    raise exception using errcode = 'PT418', message = 'Not today';
end;
$function$;
create trigger refuse before insert on public.sessions for each row execute function pg_temp.refuse();
select throws_ok(
    $$ execute series(pg_temp.client(), pg_temp.therapist(), '2034-01-02', '10:00', 2, '7 days') $$,
    'PT418', 'Not today', 'what a trigger of the application says'
);
drop trigger refuse on public.sessions;

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

prepare own as
select b.status::text
from public.book_series(pg_temp.client(), pg_temp.therapist(), '2034-01-02', '10:00', 2) as b;
set local role authenticated;
select pg_temp.claim(null);
select throws_ok('own', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_client());
select throws_ok('own', 'PT403', 'Not allowed to act for this user', 'a user for another user');
select pg_temp.claim(pg_temp.therapist());
select throws_ok('own', 'PT403', 'Not allowed to act for this user', 'the therapist for a client');
set local role anon;
select throws_ok('own', '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_more_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok('own', 'the application''s own server');
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- When the therapist can be booked
-- ---------------------------------------------------------------------------------------------------------------------

\ir include/availability.sql
select p.maximum_advance from public.set_policy('{"maximum_advance": "365 days"}') as p;
select is(r.outcome, r.expected, r.name)
from pg_temp.by_rule(
    'public.book_series(pg_temp.fourth_client(), pg_temp.third_therapist(), %L, %L, 1, ''7 days'', %s)'
) as r;
select d.override_date
from public.set_date_override(pg_temp.third_therapist(), pg_temp.monday() + 8, '[]') as d;
select throws_ok(
    $$
        select public.book_series(
            pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 1, '10:00', 10, '1 day'
        )
    $$,
    'PT409', 'Booking conflict: outside available hours', 'the error of a time outside of the hours'
);

select p.maximum_sessions_per_week
from public.set_policy('{"maximum_sessions_per_week": 2}', pg_temp.third_therapist()) as p;
select is(
    pg_temp.detail_of(
        $$
            select public.book_series(
                pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 42, '10:00', 3, '1 day'
            )
        $$
    ),
    jsonb_build_object(
        'code', 'booking_conflict', 'rule', 'maximum_sessions_per_week', 'therapist_id', pg_temp.third_therapist(),
        'start_time', bookingdb.utc(pg_temp.at(44, '10:00')), 'end_time', bookingdb.utc(pg_temp.at(44, '11:00')),
        'next_free', bookingdb.utc(pg_temp.at(49, '00:00')), 'occurrence', 3, 'session_date', pg_temp.monday() + 44
    ),
    'sessions of the series itself fill the week'
);
select lives_ok(
    $$
        select public.book_series(
            pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 42, '10:00', 2, '7 days'
        )
    $$,
    'but not another one'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
