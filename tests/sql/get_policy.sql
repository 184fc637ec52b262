begin;
\ir include/setup.sql
select plan(18);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function('public', 'get_policy', array['uuid']);
select function_lang_is('public'::name, 'get_policy'::name, 'plpgsql'::name);
select function_returns('public'::name, 'get_policy'::name, 'setof record');
select volatility_is('public'::name, 'get_policy'::name, 'stable');
select isnt_definer('public'::name, 'get_policy'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: only the first therapist has settings of its own
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist());
select public.register_client('a@client.test', 'A', pg_temp.client());

prepare policy (uuid) as
select p.*
from public.get_policy($1) as p;

select results_eq(
    'select p.* from public.get_policy() as p',
    $$
        values (
            null::uuid, 'UTC', 15, 180, interval '24 hours', interval '30 days', interval '5 minutes',
            0, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
    'what holds by default'
);
select results_eq(
    'execute policy(pg_temp.other_therapist())',
    $$
        values (
            pg_temp.other_therapist(), 'UTC', 15, 180, interval '24 hours', interval '30 days', interval '5 minutes',
            0, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
    'holds for a therapist without settings of its own'
);
select p.therapist_id
from public.set_policy(
    '{"minimum_duration_minutes": 30, "refund_grace": "7 days", "buffer_before_minutes": 10, "require_hours": true}',
    pg_temp.therapist()
) as p;
select p.therapist_id
from public.set_policy('{"maximum_duration_minutes": 120, "hold_lifetime": "2 minutes"}') as p;
select results_eq(
    'execute policy(pg_temp.therapist())',
    $$
        values (
            pg_temp.therapist(), 'Europe/Berlin', 30, 120, interval '24 hours', interval '7 days', interval '2 minutes',
            10, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, true
        )
    $$,
    'settings of its own go before the default''s, one by one'
);
select results_eq(
    'execute policy(null)',
    $$
        values (
            null::uuid, 'UTC', 15, 120, interval '24 hours', interval '30 days', interval '2 minutes',
            0, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
    'which are not changed by them'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok(
    'execute policy(pg_temp.stranger())', 'PT404', 'Therapist not found', 'a therapist that nobody knows'
);
select throws_ok('execute policy(pg_temp.client())', 'PT404', 'Therapist not found', 'a client');
select is(
    pg_temp.detail_of('execute policy(pg_temp.client())'),
    jsonb_build_object('code', 'therapist_not_found', 'therapist_id', pg_temp.client()),
    'the error names who it was'
);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('execute policy(null)', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select results_eq(
    'select p.cancellation_window from public.get_policy(pg_temp.therapist()) as p',
    array[interval '24 hours'],
    'a client is told what it agrees to'
);
select lives_ok('execute policy(null)', 'also by default');
set local role anon;
select throws_ok('execute policy(null)', '42501', null, 'nobody without a login');
set local role service_role;
select lives_ok('execute policy(pg_temp.therapist())', 'the application''s own server');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
