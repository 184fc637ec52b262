begin;
\ir include/setup.sql
select plan(21);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'list_date_overrides', array['uuid', 'date', 'date']
);
select function_lang_is('public'::name, 'list_date_overrides'::name, 'plpgsql'::name);
select function_returns('public'::name, 'list_date_overrides'::name, 'setof record');
select volatility_is('public'::name, 'list_date_overrides'::name, 'stable');
select isnt_definer('public'::name, 'list_date_overrides'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the first therapist has three dates with something else than the week; the other one has one of them
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist());
select public.register_client('a@client.test', 'A', pg_temp.client());
select d.override_date
from (
    values
    (date '2030-01-09', '[]'),
    (date '2030-01-07', '[{"start_time": "22:00", "end_time": "00:30"}, {"start_time": "09:00", "end_time": "10:00"}]'),
    (date '2030-01-11', '[{"start_time": "09:00", "end_time": "10:00"}]')
) as o (override_date, hours)
cross join lateral public.set_date_override(pg_temp.therapist(), o.override_date, o.hours::jsonb) as d;
select d.override_date
from public.set_date_override(pg_temp.other_therapist(), '2030-01-08', '[]') as d;
create temporary table before_reading on commit drop as
select pg_temp.written() as written;

prepare overrides (uuid, date, date) as
select d.* from public.list_date_overrides($1, $2, $3) as d;

select results_eq(
    $$ execute overrides(pg_temp.therapist(), '2030-01-01', '2030-01-31') $$,
    $$
        values
        (date '2030-01-07', time '09:00', time '10:00'),
        (date '2030-01-07', time '22:00', time '00:30'),
        (date '2030-01-09', null::time, null::time),
        (date '2030-01-11', time '09:00', time '10:00')
    $$,
    'in order, a closed date without times'
);
select results_eq(
    $$ select d.override_date from public.list_date_overrides(pg_temp.therapist(), '2030-01-09', '2030-01-11') as d $$,
    array['2030-01-09', '2030-01-11']::date[],
    'both dates are included'
);
select is_empty(
    $$ execute overrides(pg_temp.therapist(), '2030-01-10', '2030-01-10') $$, 'a date on which the week holds'
);
select is_empty(
    $$ execute overrides(pg_temp.therapist(), '2030-01-11', '2030-01-09') $$, 'an end before the beginning'
);
select is(
    (
        select count(*) from public.list_date_overrides(pg_temp.therapist(), '-infinity', 'infinity')
    ), 4::bigint, 'all of them'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format('execute overrides(%s, %L, %L)', r.therapist_id, r.from_date, r.to_date), r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', '2030-01-01', '2030-01-31', 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.therapist()', null, '2030-01-31', 'PT400', 'Invalid date format', 'no beginning'),
    ('pg_temp.therapist()', '2030-01-01', null, 'PT400', 'Invalid date format', 'no end'),
    ('pg_temp.stranger()', '2030-01-01', '2030-01-31', 'PT404', 'Therapist not found', 'nobody''s id'),
    ('pg_temp.client()', '2030-01-01', '2030-01-31', 'PT404', 'Therapist not found', 'a client')
) as r (therapist_id, from_date, to_date, sqlstate, message, name);
set local role authenticated;
select pg_temp.claim(null);
select throws_ok(
    $$ execute overrides(pg_temp.therapist(), '2030-01-01', '2030-01-31') $$, 'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.client());
select lives_ok(
    $$ execute overrides(pg_temp.therapist(), '2030-01-01', '2030-01-31') $$, 'every logged-in user'
);
set local role anon;
select throws_ok(
    $$ execute overrides(pg_temp.therapist(), '2030-01-01', '2030-01-31') $$, '42501', null, 'nobody without a login'
);
set local role service_role;
select lives_ok(
    $$ execute overrides(pg_temp.therapist(), '2030-01-01', '2030-01-31') $$, 'the application''s own server'
);
reset role;
select is(pg_temp.written(), (select b.written from before_reading as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
