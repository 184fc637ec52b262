begin;
\ir include/setup.sql
select plan(20);

select has_function(
    'public', 'set_therapist_active',
    array['uuid', 'boolean']
);
select function_lang_is('public'::name, 'set_therapist_active'::name, 'plpgsql'::name);
select function_returns('public'::name, 'set_therapist_active'::name, 'void');
select volatility_is('public'::name, 'set_therapist_active'::name, 'volatile');
select isnt_definer('public'::name, 'set_therapist_active'::name);

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 2) as g;
select b.credits_balance
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.therapist(), current_date + 30, '10:00'
) as b;

prepare book_again as
select b.status::text
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.therapist(), current_date + 31, '10:00'
) as b;

select lives_ok($$ select public.set_therapist_active(pg_temp.therapist(), false) $$, 'a therapist is closed');
select throws_ok('book_again', 'PT404', 'Therapist not found', 'and cannot be booked any more');
select results_eq(
    $$
        select s.status::text, c.kind
        from public.sessions as s
        inner join bookingdb.calendar as c on c.id = s.id
        where s.therapist_id = pg_temp.therapist()
    $$,
    $$ values ('scheduled', 'session') $$,
    'the sessions that were booked stay'
);
select lives_ok($$ select public.set_therapist_active(pg_temp.therapist(), false) $$, 'closing again changes nothing');
select lives_ok($$ select public.set_therapist_active(pg_temp.therapist(), true) $$, 'a therapist is opened');
select results_eq('book_again', array['scheduled'], 'and can be booked');

select
    throws_ok(
        format('select public.set_therapist_active(%L, %L)', r.therapist_id, r.active), r.sqlstate, r.message, r.name
    )
from (
    values
    (null, true, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    (pg_temp.therapist(), null, 'PT400', 'Invalid parameter', 'neither open nor closed'),
    (pg_temp.stranger(), false, 'PT404', 'Therapist not found', 'a therapist that nobody knows'),
    (pg_temp.client(), false, 'PT404', 'Therapist not found', 'a client')
) as r (therapist_id, active, sqlstate, message, name);

set local role authenticated;
select throws_ok(
    $$ select public.set_therapist_active(pg_temp.therapist(), false) $$,
    'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ select public.set_therapist_active(pg_temp.therapist(), false) $$,
    'PT403', 'Not allowed to act for this user', 'a therapist, even for itself'
);
set local role anon;
select throws_ok(
    $$ select public.set_therapist_active(pg_temp.therapist(), false) $$,
    '42501', null, 'nobody without a login'
);
reset role;
select results_eq(
    $$ select u.is_active from public.users as u where u.id in (pg_temp.therapist(), pg_temp.client()) $$,
    array[true, true],
    'refusals change nobody'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
