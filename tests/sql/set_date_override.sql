begin;
\ir include/setup.sql
select plan(59);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'set_date_override', array['uuid', 'date', 'jsonb']
);
select function_lang_is('public'::name, 'set_date_override'::name, 'plpgsql'::name);
select function_returns('public'::name, 'set_date_override'::name, 'setof record');
select volatility_is('public'::name, 'set_date_override'::name, 'volatile');
select isnt_definer('public'::name, 'set_date_override'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist, in Kathmandu, is there on Mondays from nine to twelve; the other one has no week
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() - current_date);

prepare overrides as
select
    d.start_time,
    d.end_time,
    d.override_date - pg_temp.monday() as day
from bookingdb.date_overrides as d
where d.therapist_id = pg_temp.therapist()
order by d.override_date, d.start_time;

prepare is_busy (integer, time, time) as
select public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday() + $1, $2, $3) as is_busy;

-- ---------------------------------------------------------------------------------------------------------------------
-- Other hours
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_override on commit drop as
select coalesce(max(o.id), 0) as last_event from bookingdb.outbox as o;

set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$
        select d.override_date - pg_temp.monday(), d.start_time, d.end_time
        from public.set_date_override(
            pg_temp.therapist(), pg_temp.monday(),
            '[{"start_time": "22:00", "end_time": "01:00"}, {"start_time": "14:00", "end_time": "15:00"}]'
        ) as d
    $$,
    $$ values (0, time '14:00', time '15:00'), (0, time '22:00', time '01:00') $$,
    'a therapist sets other hours for a date, and gets them back in order'
);
reset role;
select results_eq(
    'overrides',
    $$ values (time '14:00', time '15:00', 0), (time '22:00', time '01:00', 0) $$,
    'which are written'
);
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o
        cross join before_override as b
        where o.id > b.last_event
    $$,
    $$ values ('availability.changed', pg_temp.therapist()) $$,
    'with one event'
);
select results_eq(format('execute is_busy(%s, %L, %L)', c.day, c.start_time, c.end_time), array[c.expected], c.name)
from (
    values
    (0, '14:00', '15:00', false, 'they hold on that date'),
    (0, '23:30', '00:30', false, 'across midnight, too'),
    (0, '11:00', '12:00', true, 'instead of the week''s'),
    (7, '11:00', '12:00', false, 'which hold a week later'),
    (7, '14:00', '15:00', true, 'and these do not')
) as c (day, start_time, end_time, expected, name);
select is(
    (
        select s.status::text from public.sessions as s
        where s.title = 'booked'
    ), 'scheduled', 'what was booked stays'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- A date that is closed; one that is opened; an exception that is taken back
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select d.override_date - pg_temp.monday(), d.start_time, d.end_time
        from public.set_date_override(pg_temp.therapist(), pg_temp.monday(), '[]') as d
    $$,
    $$ values (0, null::time, null::time) $$,
    'no hours at all: a row without times'
);
select results_eq(
    'overrides', $$ values (null::time, null::time, 0) $$, 'takes the place of what was there for the date'
);
select results_eq(format('execute is_busy(%s, %L, %L)', c.day, c.start_time, c.end_time), array[c.expected], c.name)
from (
    values
    (0, '11:00', '12:00', true, 'the date is closed'),
    (0, '14:00', '15:00', true, 'all day'),
    (7, '11:00', '12:00', false, 'the next Monday is not')
) as c (day, start_time, end_time, expected, name);
select d.override_date
from public.set_date_override(
    pg_temp.therapist(), pg_temp.monday() + 1, '[{"start_time": "00:00", "end_time": "24:00"}]'
) as d;
select results_eq(
    $$ execute is_busy(1, '18:00', '20:00') $$, array[false], 'a day without weekly hours can be opened'
);
select is_empty(
    'select d.* from public.set_date_override(pg_temp.therapist(), pg_temp.monday()) as d',
    'null takes the exception back'
);
select results_eq(
    'overrides', $$ values (time '00:00', time '00:00', 1) $$, 'of that date alone'
);
select results_eq($$ execute is_busy(0, '11:00', '12:00') $$, array[false], 'and the week holds again');
select is_empty(
    'select d.* from public.set_date_override(pg_temp.therapist(), pg_temp.monday()) as d', 'once more does no harm'
);

select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 7, "start_time": "22:00", "end_time": "02:00"}]'
) as h;
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday(), '[]') as d;
select results_eq(
    $$ execute is_busy(0, '00:00', '02:00') $$, array[false],
    'a window of the day before that reaches into a closed date is one of the day before'
);

-- Who has no week is there at any time, but on dates with an exception.
select d.override_date
from public.set_date_override(pg_temp.other_therapist(), pg_temp.monday(), '[]') as d;
select d.override_date
from public.set_date_override(
    pg_temp.other_therapist(), pg_temp.monday() + 2, '[{"start_time": "10:00", "end_time": "11:00"}]'
) as d;
select
    is(
        public.check_booking_conflict(
            pg_temp.other_therapist(), pg_temp.monday() + c.day, c.start_time::time, c.end_time::time
        ),
        c.expected, c.name
    )
from (
    values
    (-1, '23:00', '00:00', false, 'without a week, the day before a closed date ends at midnight'),
    (-1, '23:30', '00:30', true, 'and not later'),
    (0, '10:00', '11:00', true, 'the date is closed'),
    (1, '00:00', '01:00', false, 'the next day is open from midnight on'),
    (2, '10:00', '11:00', false, 'a date with hours of its own'),
    (2, '11:00', '12:00', true, 'is closed otherwise'),
    (3, '03:00', '04:00', false, 'any other day is open')
) as c (day, start_time, end_time, expected, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.set_date_override(pg_temp.therapist(), pg_temp.monday(), %L)', r.hours),
        'PT400', 'Invalid parameter', r.hours
    )
from (
    values
    ('null'),
    ('{}'),
    ('"closed"'),
    ('[[]]'),
    ('[{}]'),
    ('[{"start_time": "09:00"}]'),
    ('[{"start_time": null, "end_time": null}]'),
    ('[{"start_time": "09:00", "end_time": "25:00"}]'),
    ('[{"weekday": 1, "start_time": "09:00", "end_time": "10:00"}]'),
    ('[{"start_time": "09:00", "end_time": "10:00", "valid_from": "2030-01-01"}]'),
    ('[{"start_time": "09:00", "end_time": "10:00", "valid_to": "2030-01-01"}]'),
    ('[{"start_time": "09:00", "end_time": "10:00", "closed": true}]')
) as r (hours);
select
    throws_ok(
        format('select public.set_date_override(%s, %L, %L)', r.therapist_id, r.date, '[]'),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', '2030-01-07', 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.stranger()', '2030-01-07', 'PT404', 'Therapist not found', 'a therapist that nobody knows'),
    ('pg_temp.client()', '2030-01-07', 'PT404', 'Therapist not found', 'a client'),
    ('pg_temp.therapist()', null, 'PT400', 'Invalid date format', 'no date'),
    ('pg_temp.therapist()', '1899-12-31', 'PT400', 'Invalid date format', 'a date too early'),
    ('pg_temp.therapist()', '3000-01-01', 'PT400', 'Invalid date format', 'a date too late'),
    ('pg_temp.therapist()', 'infinity', 'PT400', 'Invalid date format', 'an endless date')
) as r (therapist_id, date, sqlstate, message, name);
select is(
    pg_temp.detail_of(
        $$
            select public.set_date_override(
                pg_temp.therapist(), pg_temp.monday(),
                '[{"start_time": "09:00", "end_time": "10:00"}, {"start_time": "9:00", "end_time": "10:00"}]'
            )
        $$
    ),
    '{"code": "invalid_parameter", "parameter": "p_hours", "window": 2}',
    'the error says which window it is'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

prepare close_a_date as
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 14, '[]') as d;

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('close_a_date', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok('close_a_date', 'PT403', 'Not allowed to act for this user', 'another therapist');
select pg_temp.claim(pg_temp.client());
select throws_ok('close_a_date', 'PT403', 'Not allowed to act for this user', 'a client');
set local role anon;
select throws_ok('close_a_date', '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok('close_a_date', 'the application''s own server');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
