begin;
\ir include/setup.sql
select plan(24);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'list_available_days', array['uuid', 'date', 'date', 'integer', 'text', 'integer']
);
select function_lang_is('public'::name, 'list_available_days'::name, 'plpgsql'::name);
select function_returns('public'::name, 'list_available_days'::name, 'setof record');
select volatility_is('public'::name, 'list_available_days'::name, 'stable');
select isnt_definer('public'::name, 'list_available_days'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist, in Kathmandu, is there on Mondays and Wednesdays from nine to twelve; one Monday is half taken
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select p.slot_step_minutes from public.set_policy('{"slot_step_minutes": 30}', pg_temp.therapist()) as p;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(),
    '[
        {"weekday": 1, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 3, "start_time": "09:00", "end_time": "10:00"}
    ]'
) as h;
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 7 - current_date, '09:00');
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 9, '[]') as d;
create temporary table before_reading on commit drop as
select pg_temp.written() as written;

-- The instant of a local time some days after the Monday.
create function pg_temp.at(p_days integer, p_time time) returns timestamptz language sql stable
return (pg_temp.monday() + p_days + p_time) at time zone 'Asia/Kathmandu';

select results_eq(
    $$
        select d.local_date, d.slots, d.first_start, d.last_start
        from public.list_available_days(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 14) as d
    $$,
    $$
        select pg_temp.monday() + o.day, o.slots, pg_temp.at(o.day, o.first_time), pg_temp.at(o.day, o.last_time)
        from (
            values
            (0, 5, time '09:00', time '11:00'), (2, 1, '09:00', '09:00'), (7, 3, '10:00', '11:00'),
            (14, 5, '09:00', '11:00')
        ) as o (day, slots, first_time, last_time)
    $$,
    'a row for each date on which something is free, in order'
);
select results_eq(
    $$
        select d.local_date - pg_temp.monday(), d.slots
        from public.list_available_days(
            pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 14, 90, p_step_minutes => 15
        ) as d
    $$,
    $$ values (0, 7), (7, 3), (14, 7) $$,
    'of the length and the step that were asked for'
);
select results_eq(
    $$
        select d.local_date, d.slots, d.first_start, d.last_start
        from public.list_available_days(
            pg_temp.therapist(), pg_temp.monday() - 1, pg_temp.monday() + 14, 60, 'America/New_York'
        ) as d
    $$,
    $$
        select s.local_date, count(*)::integer, min(s.start_time), max(s.start_time)
        from public.list_available_slots(
            pg_temp.therapist(), pg_temp.monday() - 1, pg_temp.monday() + 14, 60, 'America/New_York'
        ) as s
        group by s.local_date
        order by s.local_date
    $$,
    'what list_available_slots() lists, by dates of the zone that was asked for'
);
select is_empty(
    $$
        select d.*
        from public.list_available_days(pg_temp.therapist(), pg_temp.monday() + 8, pg_temp.monday() + 9) as d
    $$,
    'nothing is free'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format(
            'select public.list_available_days(%s, %L, %L, %L, %L, %L)', r.therapist_id, r.first_date, r.last_date,
            r.minutes, r.time_zone, r.step
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', '2030-01-07', '2030-01-07', 60, null, null, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.stranger()', '2030-01-07', '2030-01-07', 60, null, null, 'PT404', 'Therapist not found', 'nobody''s id'),
    ('pg_temp.therapist()', null, '2030-01-07', 60, null, null, 'PT400', 'Invalid date format', 'no beginning'),
    ('pg_temp.therapist()', '2030-01-07', 'infinity', 60, null, null, 'PT400', 'Invalid date format', 'for ever'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-06', 60, null, null, 'PT400', 'Invalid parameter', 'backwards'),
    ('pg_temp.therapist()', '2030-01-07', '2031-01-08', 60, null, null, 'PT400', 'Invalid parameter', '367 days'),
    (
        'pg_temp.therapist()', '2030-01-07', '2030-01-07', 14, null, null,
        'PT400', 'Duration must be 15-180 minutes', '14 minutes'
    ),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-07', 60, 'Mars+5', null, 'PT400', 'Invalid time zone', 'Mars'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-07', 60, null, 0, 'PT400', 'Invalid parameter', 'no step')
) as r (therapist_id, first_date, last_date, minutes, time_zone, step, sqlstate, message, name);

prepare days as
select d.slots
from public.list_available_days(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday()) as d;

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('days', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.stranger());
select results_eq('days', array[5], 'every logged-in user');
set local role anon;
select throws_ok('days', '42501', null, 'nobody without a login');
set local role service_role;
select results_eq('days', array[5], 'the application''s own server');
reset role;
select is(pg_temp.written(), (select b.written from before_reading as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
