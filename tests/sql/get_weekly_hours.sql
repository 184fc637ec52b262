begin;
\ir include/setup.sql
select plan(17);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'get_weekly_hours', array['uuid']
);
select function_lang_is('public'::name, 'get_weekly_hours'::name, 'plpgsql'::name);
select function_returns('public'::name, 'get_weekly_hours'::name, 'setof record');
select volatility_is('public'::name, 'get_weekly_hours'::name, 'stable');
select isnt_definer('public'::name, 'get_weekly_hours'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: only the first therapist has a week
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist());
select public.register_client('a@client.test', 'A', pg_temp.client());
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(),
    '[
        {"weekday": 7, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 2, "start_time": "09:00", "end_time": "12:00", "valid_from": "2030-01-01"},
        {"weekday": 2, "start_time": "09:00", "end_time": "13:00", "valid_to": "2029-12-31"},
        {"weekday": 2, "start_time": "22:00", "end_time": "00:00"}
    ]'
) as h;
create temporary table before_reading on commit drop as
select pg_temp.written() as written;

select results_eq(
    'select h.* from public.get_weekly_hours(pg_temp.therapist()) as h',
    $$
        values
        (2, time '09:00', time '13:00', null::date, date '2029-12-31'),
        (2, time '09:00', time '12:00', date '2030-01-01', null::date),
        (2, time '22:00', time '00:00', null::date, null::date),
        (7, time '09:00', time '12:00', null::date, null::date)
    $$,
    'a week, in order'
);
select is_empty('select h.* from public.get_weekly_hours(pg_temp.other_therapist()) as h', 'a therapist without one');

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok(
    'select public.get_weekly_hours(null)', 'PT400', 'Invalid therapist ID format', 'no therapist'
);
select throws_ok(
    'select public.get_weekly_hours(pg_temp.stranger())',
    'PT404', 'Therapist not found', 'a therapist that nobody knows'
);
select throws_ok(
    'select public.get_weekly_hours(pg_temp.client())', 'PT404', 'Therapist not found', 'a client'
);
select is(
    pg_temp.detail_of('select public.get_weekly_hours(pg_temp.client())'),
    jsonb_build_object('code', 'therapist_not_found', 'therapist_id', pg_temp.client()),
    'the error says who'
);
set local role authenticated;
select pg_temp.claim(null);
select throws_ok(
    'select public.get_weekly_hours(pg_temp.therapist())', 'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.client());
select is(
    (select count(*) from public.get_weekly_hours(pg_temp.therapist())), 4::bigint, 'every logged-in user'
);
set local role anon;
select throws_ok(
    'select public.get_weekly_hours(pg_temp.therapist())', '42501', null, 'nobody without a login'
);
set local role service_role;
select is(
    (select count(*) from public.get_weekly_hours(pg_temp.therapist())), 4::bigint, 'the application''s own server'
);
reset role;
select is(pg_temp.written(), (select b.written from before_reading as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
