begin;
\ir include/setup.sql
select plan(26);

select has_function(
    'public', 'register_therapist',
    array['text', 'text', 'uuid', 'text']
);
select function_lang_is('public'::name, 'register_therapist'::name, 'plpgsql'::name);
select function_returns('public'::name, 'register_therapist'::name, 'uuid');
select volatility_is('public'::name, 'register_therapist'::name, 'volatile');
select isnt_definer('public'::name, 'register_therapist'::name);

select is(
    public.register_therapist('a@therapist.test', 'A Therapist', pg_temp.therapist(), 'Europe/Berlin'),
    pg_temp.therapist(),
    'returns the id that it was given'
);
select results_eq(
    $$
        select u.email, u.full_name, u.user_type, u.is_active, u.is_verified
        from public.users as u where u.id = pg_temp.therapist()
    $$,
    $$ values ('a@therapist.test', 'A Therapist', 'therapist', true, true) $$,
    'writes an active, verified therapist'
);
select results_eq(
    $$ select p.time_zone from bookingdb.policies as p where p.therapist_id = pg_temp.therapist() $$,
    array['Europe/Berlin'],
    'writes the zone'
);
select isnt_empty(
    $$ select t.id from bookingdb.therapists as t where t.id = pg_temp.therapist() $$, 'who can be booked'
);
select is_empty(
    $$
        select p.id from bookingdb.policies as p where p.therapist_id = public.register_therapist('b@therapist.test')
    $$,
    'writes no zone where none is given'
);
select is(
    public.register_therapist('A@Therapist.test', p_time_zone => 'Europe/Lisbon'),
    pg_temp.therapist(),
    'the same address, however it is written, is the same person'
);
select results_eq(
    $$ select p.time_zone from bookingdb.policies as p where p.therapist_id = pg_temp.therapist() $$,
    array['Europe/Lisbon'],
    'whose zone is changed'
);
select public.register_therapist('a@therapist.test');
select results_eq(
    $$ select p.time_zone from bookingdb.policies as p where p.therapist_id = pg_temp.therapist() $$,
    array['Europe/Lisbon'],
    'and kept where none is given'
);
select public.set_therapist_active(pg_temp.therapist(), false);
select public.register_therapist('a@therapist.test');
select isnt_empty(
    $$ select t.id from bookingdb.therapists as t where t.id = pg_temp.therapist() $$, 'registering again opens'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may call it
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_client('a@client.test', 'A', pg_temp.client());
create temporary table before_refusals on commit drop as
select
    u.id,
    u.email,
    u.full_name,
    u.user_type,
    u.is_active,
    u.is_verified
from public.users as u;

select
    throws_ok(
        format('select public.register_therapist(%L, %L, %L, %L)', r.email, r.full_name, r.user_id, r.time_zone),
        'PT400', r.message, r.name
    )
from (
    values
    (null, null, null, null, 'Invalid parameter', 'no address'),
    ('nobody', null, null, null, 'Invalid parameter', 'an address without @'),
    ('c@therapist.test', repeat('n', 256), null, null, 'Invalid parameter', 'a name of 256 characters'),
    ('a@client.test', null, null, null, 'Invalid parameter', 'a client''s address'),
    ('c@therapist.test', null, pg_temp.client(), null, 'Invalid parameter', 'a client''s id'),
    (
        'a@therapist.test', null, pg_temp.stranger(), null,
        'Invalid parameter', 'the address of a therapist with a new id'
    ),
    ('c@therapist.test', null, null, 'Mars+5', 'Invalid time zone', 'no zone of this world'),
    ('c@therapist.test', null, null, '', 'Invalid time zone', 'an empty zone')
) as r (email, full_name, user_id, time_zone, message, name);

set local role authenticated;
select throws_ok($$ select public.register_therapist('c@therapist.test') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client(), 'c@therapist.test');
select throws_ok(
    $$ select public.register_therapist('c@therapist.test') $$,
    'PT403', 'Not allowed to act for this user', 'a user, even for itself'
);
set local role anon;
select throws_ok($$ select public.register_therapist('c@therapist.test') $$, '42501', null, 'nobody without a login');
reset role;
select set_eq(
    'select u.id, u.email, u.full_name, u.user_type, u.is_active, u.is_verified from public.users as u',
    'select b.* from before_refusals as b',
    'refusals write nothing'
);

select * from finish();
rollback;
