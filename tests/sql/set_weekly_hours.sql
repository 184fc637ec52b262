begin;
\ir include/setup.sql
select plan(77);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'set_weekly_hours', array['uuid', 'jsonb']
);
select function_lang_is('public'::name, 'set_weekly_hours'::name, 'plpgsql'::name);
select function_returns('public'::name, 'set_weekly_hours'::name, 'setof record');
select volatility_is('public'::name, 'set_weekly_hours'::name, 'volatile');
select isnt_definer('public'::name, 'set_weekly_hours'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist is in Kathmandu, five hours and three quarters ahead of UTC
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;

prepare hours as
select
    w.weekday,
    w.start_time,
    w.end_time,
    w.valid_from,
    w.valid_to
from bookingdb.weekly_hours as w
where w.therapist_id = pg_temp.therapist()
order by w.weekday, w.start_time;

-- ---------------------------------------------------------------------------------------------------------------------
-- A week, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_hours on commit drop as
select coalesce(max(o.id), 0) as last_event from bookingdb.outbox as o;

set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$
        select h.weekday, h.start_time, h.end_time, h.valid_from, h.valid_to
        from public.set_weekly_hours(
            pg_temp.therapist(),
            '[
                {"weekday": 5, "start_time": "22:00", "end_time": "02:00"},
                {"weekday": 1, "start_time": "13:00:00", "end_time": "17:24:00", "valid_from": null},
                {"weekday": "1", "start_time": "09:00", "end_time": "12:00"},
                {"weekday": 7, "start_time": "00:00", "end_time": "24:00", "valid_from": "2020-01-01",
                "valid_to": "2020-12-31"}
            ]'
        ) as h
    $$,
    $$
        values
        (1, time '09:00', time '12:00', null::date, null::date),
        (1, time '13:00', time '17:24', null::date, null::date),
        (5, time '22:00', time '02:00', null::date, null::date),
        (7, time '00:00', time '00:00', date '2020-01-01', date '2020-12-31')
    $$,
    'a therapist sets its own week, and gets it back in order'
);
reset role;
select results_eq(
    'hours',
    $$
        values
        (1, time '09:00', time '12:00', null::date, null::date),
        (1, time '13:00', time '17:24', null::date, null::date),
        (5, time '22:00', time '02:00', null::date, null::date),
        (7, time '00:00', time '00:00', date '2020-01-01', date '2020-12-31')
    $$,
    'which is written'
);
select results_eq(
    $$
        select o.event, o.subject_id, o.payload
        from bookingdb.outbox as o
        cross join before_hours as b
        where o.id > b.last_event
    $$,
    $$
        values (
            'availability.changed', pg_temp.therapist(), jsonb_build_object('therapist_id', pg_temp.therapist())
        )
    $$,
    'with one event'
);
select is(
    (
        select count(*) from bookingdb.weekly_hours as w
        where w.therapist_id <> pg_temp.therapist()
    ), 0::bigint, 'and nothing for anybody else'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What the hours do. A look at single times: whether the therapist cannot be booked from a local time on, for an hour.
-- ---------------------------------------------------------------------------------------------------------------------

prepare is_busy (integer, time, time) as
select public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday() + $1, $2, $3) as is_busy;

select results_eq(format('execute is_busy(%s, %L, %L)', c.day, c.start_time, c.end_time), array[c.expected], c.name)
from (
    values
    (0, '09:00', '10:00', false, 'the first hour of a window'),
    (0, '11:00', '12:00', false, 'the last one'),
    (0, '08:59', '09:59', true, 'a minute before it'),
    (0, '11:01', '12:01', true, 'a minute too long'),
    (0, '11:30', '13:30', true, 'the break between two windows'),
    (0, '14:00', '15:00', false, 'the second window'),
    (1, '09:00', '10:00', true, 'a day without windows'),
    (4, '23:30', '00:30', false, 'across midnight'),
    (5, '01:00', '02:00', false, 'the part of a window that lies on the next day'),
    (5, '01:30', '02:30', true, 'and no further'),
    (4, '01:00', '02:00', true, 'nor on the day on which it starts'),
    (6, '10:00', '11:00', true, 'a window that held until some years ago')
) as c (day, start_time, end_time, expected, name);
select is(
    public.check_booking_conflict(pg_temp.therapist(), '2020-02-02', '10:00', '11:00'), false, 'it held then'
);
select is(
    public.check_booking_conflict(pg_temp.therapist(), '2019-12-29', '10:00', '11:00'), true, 'but not before'
);
select is(
    public.check_booking_conflict(pg_temp.other_therapist(), pg_temp.monday() + 1, '03:00', '04:00'), false,
    'who has no week can be booked at any time'
);

-- Windows that touch are one.
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(),
    '[
        {"weekday": 2, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 2, "start_time": "12:00", "end_time": "13:00"},
        {"weekday": 3, "start_time": "20:00", "end_time": "24:00"},
        {"weekday": 4, "start_time": "00:00", "end_time": "01:00"},
        {"weekday": 6, "start_time": "10:00", "end_time": "10:00"}
    ]'
) as h;
select results_eq(
    $$ execute is_busy(1, '11:30', '12:30') $$, array[false], 'a session may reach from one window into the next'
);
select results_eq($$ execute is_busy(2, '23:30', '00:30') $$, array[false], 'also at midnight');
select results_eq($$ execute is_busy(6, '09:00', '10:00') $$, array[false], 'from 10:00 to 10:00 are 24 hours');
select results_eq($$ execute is_busy(6, '09:30', '10:30') $$, array[true], 'and no more');

-- What was booked stays.
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 1 - current_date);
select is(
    (
        select count(*) from public.set_weekly_hours(
            pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
        )
    ), 1::bigint, 'another week takes the place of the whole of the old one'
);
select results_eq(
    'hours', $$ values (1, time '09:00', time '12:00', null::date, null::date) $$, 'of which nothing is left'
);
select is(
    (
        select s.status::text from public.sessions as s
        where s.title = 'booked'
    ), 'scheduled', 'what was booked stays'
);
select is(
    (select count(*) from public.set_weekly_hours(pg_temp.therapist(), '[]')), 0::bigint, 'an empty week'
);
select results_eq($$ execute is_busy(1, '03:00', '04:00') $$, array[false], 'is none: any time will do');
select is(
    (
        select count(*) from public.set_weekly_hours(
            pg_temp.other_therapist(),
            (
                select jsonb_agg(jsonb_build_object('weekday', 1, 'start_time', '09:00', 'end_time', '10:00'))
                from generate_series(1, 200)
            )
        )
    ), 200::bigint, '200 windows'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.set_weekly_hours(pg_temp.therapist(), %L)', r.hours),
        'PT400', 'Invalid parameter', coalesce(r.hours, 'no hours')
    )
from (
    values
    (null),
    ('null'),
    ('{}'),
    ('"Monday"'),
    ('[1]'),
    ('[null]'),
    ('[{}]'),
    ('[{"start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": null, "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": 0, "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": 8, "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": 1.5, "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": "Monday", "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": [1], "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"weekday": 1, "end_time": "10:00"}]'),
    ('[{"weekday": 1, "start_time": "09:00"}]'),
    ('[{"weekday": 1, "start_time": "9:00", "end_time": "10:00"}]'),
    ('[{"weekday": 1, "start_time": "24:00", "end_time": "10:00"}]'),
    ('[{"weekday": 1, "start_time": "09:00:01", "end_time": "10:00"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "24:01"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:60"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00+02"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "now"}]'),
    ('[{"weekday": 1, "start_time": 9, "end_time": 10}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00", "room": 1}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00", "valid_from": "2030-02-30"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00", "valid_from": "soon"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00", "valid_from": "1899-12-31"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00", "valid_to": "infinity"}]'),
    (
        '[{"weekday": 1, "start_time": "09:00", "end_time": "10:00", "valid_from": "2030-01-02",
        "valid_to": "2030-01-01"}]'
    )
) as r (hours);
select
    throws_ok(
        format('select public.set_weekly_hours(%s, %L)', r.therapist_id, '[]'), r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.stranger()', 'PT404', 'Therapist not found', 'a therapist that nobody knows'),
    ('pg_temp.client()', 'PT404', 'Therapist not found', 'a client')
) as r (therapist_id, sqlstate, message, name);
select throws_ok(
    $$
        select public.set_weekly_hours(
            pg_temp.therapist(),
            (
                select jsonb_agg(jsonb_build_object('weekday', 1, 'start_time', '09:00', 'end_time', '10:00'))
                from generate_series(1, 201)
            )
        )
    $$,
    'PT400', 'Invalid parameter', '201 windows'
);
select is(
    pg_temp.detail_of(
        $$
            select public.set_weekly_hours(
                pg_temp.therapist(),
                '[{"weekday": 1, "start_time": "09:00", "end_time": "10:00"},
                {"weekday": 1, "start_time": "09:00", "end_time": "25:00"}]'
            )
        $$
    ),
    '{"code": "invalid_parameter", "parameter": "p_hours", "window": 2}',
    'the error says which window it is'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(null);
select throws_ok(
    $$ select public.set_weekly_hours(pg_temp.therapist(), '[]') $$, 'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok(
    $$ select public.set_weekly_hours(pg_temp.therapist(), '[]') $$,
    'PT403', 'Not allowed to act for this user', 'another therapist'
);
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ select public.set_weekly_hours(pg_temp.therapist(), '[]') $$,
    'PT403', 'Not allowed to act for this user', 'a client'
);
select throws_ok(
    $$ select public.set_weekly_hours(pg_temp.client(), '[]') $$,
    'PT404', 'Therapist not found', 'a client for itself'
);
set local role anon;
select throws_ok(
    $$ select public.set_weekly_hours(pg_temp.therapist(), '[]') $$, '42501', null, 'nobody without a login'
);
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok(
    $$
        select public.set_weekly_hours(
            pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "10:00"}]'
        )
    $$,
    'the application''s own server'
);
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
