begin;
\ir include/setup.sql
select plan(41);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'next_available_slot',
    array['uuid', 'integer', 'timestamp with time zone', 'text', 'integer']
);
select function_lang_is('public'::name, 'next_available_slot'::name, 'plpgsql'::name);
select function_returns('public'::name, 'next_available_slot'::name, 'setof record');
select volatility_is('public'::name, 'next_available_slot'::name, 'stable');
select isnt_definer('public'::name, 'next_available_slot'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist, in Kathmandu, is there on Mondays from nine to twelve. The other one, in UTC, has no hours.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

-- The instant of a local time some days after the Monday.
create function pg_temp.at(p_days integer, p_time time) returns timestamptz language sql stable
return (pg_temp.monday() + p_days + p_time) at time zone 'Asia/Kathmandu';

-- The next slot after an instant, in days after the Monday and in local time.
prepare next_slot (integer, time, integer, integer) as
select
    s.local_time,
    s.local_date - pg_temp.monday() as day
from public.next_available_slot(pg_temp.therapist(), $3, pg_temp.at($1, $2), p_step_minutes => $4) as s;

select results_eq(
    $$
        select s.start_time, s.end_time, s.local_date, s.local_time
        from public.next_available_slot(pg_temp.therapist(), 90, pg_temp.at(-2, '10:00')) as s
    $$,
    $$ values (pg_temp.at(0, '09:00'), pg_temp.at(0, '10:30'), pg_temp.monday(), time '09:00') $$,
    'an instant, and the local time'
);
select results_eq(
    $$
        select s.local_date, s.local_time
        from public.next_available_slot(
            pg_temp.therapist(), 60, pg_temp.at(-2, '10:00'), 'America/New_York'
        ) as s
    $$,
    $$
        select (t.local_time)::date, (t.local_time)::time
        from (select pg_temp.at(0, '09:00') at time zone 'America/New_York') as t (local_time)
    $$,
    'in the zone that was asked for'
);
select
    results_eq(
        format('execute next_slot(%s, %L, %s, %L)', c.day, c.time, c.minutes, c.step),
        format('values (time %L, %s)', c.expected_time, c.expected_day),
        c.name
    )
from (
    values
    (0, '09:00', 60, null, '09:00', 0, 'the instant itself counts'),
    (0, '09:01', 60, null, '09:15', 0, 'the next point of the grid'),
    (0, '09:01', 60, 45, '09:45', 0, 'of another step'),
    (0, '09:01', 60, 1, '09:01', 0, 'of every minute'),
    (0, '11:00', 60, null, '11:00', 0, 'the last of a day'),
    (0, '11:01', 60, null, '09:00', 7, 'then that of the next week'),
    (0, '10:00', 150, null, '09:00', 7, 'of a longer session'),
    (0, '11:30', 30, null, '11:30', 0, 'of a shorter one')
) as c (day, time, minutes, step, expected_time, expected_day, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- What is in its way
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() - current_date, '09:00');
select results_eq($$ execute next_slot(0, '08:00', 60, null) $$, $$ values (time '10:00', 0) $$, 'a session');
select t.id
from public.add_time_off(pg_temp.therapist(), pg_temp.at(0, '10:00'), pg_temp.at(15, '00:00')) as t;
select results_eq($$ execute next_slot(0, '08:00', 60, null) $$, $$ values (time '09:00', 21) $$, 'a fortnight off');
select is(
    (
        select s.start_time between now() and clock_timestamp() + interval '15 minutes'
        from public.next_available_slot(pg_temp.other_therapist()) as s
    ), true, 'by default an hour, from now on'
);
select is(
    (
        select s.start_time between now() and clock_timestamp() + interval '15 minutes'
        from public.next_available_slot(pg_temp.other_therapist(), p_after => '1900-01-01 00:00+00') as s
    ), true, 'the past is over'
);
select p.minimum_notice
from public.set_policy('{"minimum_notice": "50 hours"}', pg_temp.other_therapist()) as p;
select is(
    (
        select s.start_time between now() + interval '50 hours' and clock_timestamp() + interval '3015 minutes'
        from public.next_available_slot(pg_temp.other_therapist()) as s
    ), true, 'the notice'
);
select p.minimum_notice from public.set_policy('{"minimum_notice": null}', pg_temp.other_therapist()) as p;
select is_empty(
    $$ select s.* from public.next_available_slot(pg_temp.other_therapist(), 60, now() + interval '8761 hours') as s $$,
    'beyond the horizon there is none'
);
select t.id
from public.add_time_off(pg_temp.other_therapist(), now() - interval '24 hours', now() + interval '7200 hours') as t;
select is(
    (
        select s.start_time - now() between interval '7200 hours' and interval '7201 hours'
        from public.next_available_slot(pg_temp.other_therapist()) as s
    ), true, 'also when it is months away'
);
select t.id
from public.add_time_off(pg_temp.other_therapist(), now() - interval '24 hours', now() + interval '9000 hours') as t;
select is_empty('select s.* from public.next_available_slot(pg_temp.other_therapist()) as s', 'or there is none');

-- ---------------------------------------------------------------------------------------------------------------------
-- Clock changes
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('c@therapist.test', 'C', pg_temp.stranger(), 'Europe/Berlin');
select p.maximum_advance from public.set_policy('{"maximum_advance": "400 days"}', pg_temp.stranger()) as p;
select results_eq(
    $$
        select s.local_time, s.start_time
        from public.next_available_slot(
            pg_temp.stranger(), 30, (pg_temp.clock_change('Europe/Berlin', true) + time '00:46') at time zone 'UTC',
            p_step_minutes => 30
        ) as s
    $$,
    $$ values (time '03:00', (pg_temp.clock_change('Europe/Berlin', true) + time '01:00') at time zone 'UTC') $$,
    'an hour that the clocks jump over is passed over'
);
select results_eq(
    $$
        select s.local_time, s.start_time
        from public.next_available_slot(
            pg_temp.stranger(), 30, (pg_temp.clock_change('Europe/Berlin', false) + time '00:31') at time zone 'UTC',
            p_step_minutes => 30
        ) as s
    $$,
    $$ values (time '02:00', (pg_temp.clock_change('Europe/Berlin', false) + time '01:00') at time zone 'UTC') $$,
    'after the first half past two comes the second two o''clock'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;
select
    throws_ok(
        format(
            'select public.next_available_slot(%s, %L, %L, %L, %L)', r.therapist_id, r.minutes, r.starts_at,
            r.time_zone, r.step
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', 60, null, null, null, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.client()', 60, null, null, null, 'PT404', 'Therapist not found', 'a client'),
    ('pg_temp.therapist()', null, null, null, null, 'PT400', 'Duration must be 15-180 minutes', 'no duration'),
    ('pg_temp.therapist()', 14, null, null, null, 'PT400', 'Duration must be 15-180 minutes', '14 minutes'),
    ('pg_temp.therapist()', 181, null, null, null, 'PT400', 'Duration must be 15-180 minutes', '181 minutes'),
    ('pg_temp.therapist()', 60, 'infinity', null, null, 'PT400', 'Invalid parameter', 'after the end of time'),
    ('pg_temp.therapist()', 60, '1899-12-31 00:00+00', null, null, 'PT400', 'Invalid parameter', 'too early'),
    ('pg_temp.therapist()', 60, null, 'Mars+5', null, 'PT400', 'Invalid time zone', 'Mars'),
    ('pg_temp.therapist()', 60, null, null, 0, 'PT400', 'Invalid parameter', 'no step'),
    ('pg_temp.therapist()', 60, null, null, 1441, 'PT400', 'Invalid parameter', 'too long a step')
) as r (therapist_id, minutes, starts_at, time_zone, step, sqlstate, message, name);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('execute next_slot(0, null, 60, null)', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$ execute next_slot(0, '08:00', 60, null) $$, $$ values (time '09:00', 21) $$, 'every logged-in user'
);
set local role anon;
select throws_ok('execute next_slot(0, null, 60, null)', '42501', null, 'nobody without a login');
set local role service_role;
select results_eq(
    $$ execute next_slot(0, '08:00', 60, null) $$, $$ values (time '09:00', 21) $$, 'the application''s own server'
);
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
