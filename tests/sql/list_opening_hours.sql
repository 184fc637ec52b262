begin;
\ir include/setup.sql
select plan(23);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function('public', 'list_opening_hours', array['uuid', 'date', 'date', 'text']);
select function_lang_is('public'::name, 'list_opening_hours'::name, 'plpgsql'::name);
select function_returns('public'::name, 'list_opening_hours'::name, 'setof record');
select volatility_is('public'::name, 'list_opening_hours'::name, 'stable');
select isnt_definer('public'::name, 'list_opening_hours'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- A therapist in Kathmandu, 05:45 ahead of UTC all year: Mondays in two windows that touch and one across midnight
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'Asia/Kathmandu');
select public.register_client('a@client.test', 'A', pg_temp.client());

prepare hours (uuid, date, date, text) as
select
    h.start_time,
    h.end_time
from public.list_opening_hours($1, $2, $3, $4) as h;

-- 2030-01-07 is a Monday.
select results_eq(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-08', null) $$,
    $$ values (timestamptz '2030-01-06 18:15:00+00', timestamptz '2030-01-08 18:15:00+00') $$,
    'without hours: all the time'
);
select count(h.weekday)
from public.set_weekly_hours(
    pg_temp.therapist(),
    '[
        {"weekday": 1, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 1, "start_time": "12:00", "end_time": "13:00"},
        {"weekday": 1, "start_time": "22:00", "end_time": "02:00"}
    ]'
) as h;
select results_eq(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-08', null) $$,
    $$
        values
        (timestamptz '2030-01-07 03:15:00+00', timestamptz '2030-01-07 07:15:00+00'),
        (timestamptz '2030-01-07 16:15:00+00', timestamptz '2030-01-07 20:15:00+00')
    $$,
    'windows that touch are one period, one across midnight is whole'
);
select results_eq(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-07', null) $$,
    $$
        values
        (timestamptz '2030-01-07 03:15:00+00', timestamptz '2030-01-07 07:15:00+00'),
        (timestamptz '2030-01-07 16:15:00+00', timestamptz '2030-01-07 18:15:00+00')
    $$,
    'what reaches beyond the dates is cut'
);
select results_eq(
    $$ execute hours(pg_temp.therapist(), '2030-01-08', '2030-01-08', null) $$,
    $$ values (timestamptz '2030-01-07 18:15:00+00', timestamptz '2030-01-07 20:15:00+00') $$,
    'the night of the day before is there'
);
select results_eq(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-07', 'UTC') $$,
    $$
        values
        (timestamptz '2030-01-07 03:15:00+00', timestamptz '2030-01-07 07:15:00+00'),
        (timestamptz '2030-01-07 16:15:00+00', timestamptz '2030-01-07 20:15:00+00')
    $$,
    'the dates are those of the zone that was asked for'
);
select count(o.override_date)
from public.set_date_override(
    pg_temp.therapist(), '2030-01-07', '[{"start_time": "10:00", "end_time": "11:00"}]'
) as o;
select results_eq(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-08', null) $$,
    $$ values (timestamptz '2030-01-07 04:15:00+00', timestamptz '2030-01-07 05:15:00+00') $$,
    'the override, and nothing of the week'
);
select count(o.override_date) from public.set_date_override(pg_temp.therapist(), '2030-01-07', '[]') as o;
select is_empty($$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-08', null) $$, 'a date that is closed');
select p.require_hours from public.set_policy('{"require_hours": true}', pg_temp.other_therapist()) as p;
select is_empty(
    $$ execute hours(pg_temp.other_therapist(), '2030-01-07', '2030-01-08', null) $$, 'without the hours that it needs'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format('execute hours(%s, %L, %L, %L)', r.therapist_id, r.from_date, r.to_date, r.time_zone),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', '2030-01-07', '2030-01-07', null, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.client()', '2030-01-07', '2030-01-07', null, 'PT404', 'Therapist not found', 'a client'),
    ('pg_temp.therapist()', null, '2030-01-07', null, 'PT400', 'Invalid date format', 'no beginning'),
    ('pg_temp.therapist()', '2030-01-07', 'infinity', null, 'PT400', 'Invalid date format', 'no end'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-06', null, 'PT400', 'Invalid parameter', 'an end before it'),
    ('pg_temp.therapist()', '2030-01-07', '2031-01-08', null, 'PT400', 'Invalid parameter', 'more than a year'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-07', 'Mars', 'PT400', 'Invalid time zone', 'no zone')
) as r (therapist_id, from_date, to_date, time_zone, sqlstate, message, name);

set local role authenticated;
select throws_ok(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-07', null) $$, 'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.client());
select lives_ok($$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-07', null) $$, 'a client');
set local role anon;
select throws_ok(
    $$ execute hours(pg_temp.therapist(), '2030-01-07', '2030-01-07', null) $$, '42501', null, 'without a login'
);
reset role;

select * from finish();
rollback;
