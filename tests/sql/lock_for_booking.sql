begin;
\ir include/setup.sql
select plan(18);

select has_function(
    'public', 'lock_for_booking',
    array['uuid[]']
);
select function_lang_is('public'::name, 'lock_for_booking'::name, 'plpgsql'::name);
select function_returns('public'::name, 'lock_for_booking'::name, 'void');
select volatility_is('public'::name, 'lock_for_booking'::name, 'volatile');
select isnt_definer('public'::name, 'lock_for_booking'::name);

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist());
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());

prepare locked as
select p.id
from (values (pg_temp.therapist()), (pg_temp.client()), (pg_temp.other_client())) as p (id)
inner join pg_locks as l
    on ((l.classid::bigint << 32) | l.objid::bigint) = bookingdb.person_key(p.id)
where
    l.locktype = 'advisory'
    and l.objsubid = 1
    and l.mode = 'ExclusiveLock'
    and l.pid = pg_backend_pid()
    and l.granted;

select is_empty('locked', 'nobody is locked at first');
select lives_ok(
    $$ select public.lock_for_booking(array[pg_temp.therapist(), pg_temp.client(), pg_temp.therapist()]::uuid[]) $$,
    'people may be named twice'
);
select set_eq(
    'locked', array[pg_temp.therapist(), pg_temp.client()]::uuid[], 'the people are locked until the transaction ends'
);
select lives_ok(
    $$ select public.lock_for_booking(array[pg_temp.stranger()]::uuid[]) $$,
    'people whom nobody knows can be locked'
);

select throws_ok(format('select public.lock_for_booking(%s)', r.people), 'PT400', 'Invalid parameter', r.name)
from (
    values
    ('null', 'no list'),
    ('array[]::uuid[]', 'an empty list'),
    ('array[null]::uuid[]', 'a list with a null in it'),
    ('array(select gen_random_uuid() from generate_series(1, 1001))', 'a list of 1001')
) as r (people, name);

set local role authenticated;
select throws_ok(
    $$ select public.lock_for_booking(array[pg_temp.client()]::uuid[]) $$,
    'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.client());
select lives_ok(
    $$ select public.lock_for_booking(array[pg_temp.therapist(), pg_temp.client()]::uuid[]) $$,
    'a user with itself and a therapist'
);
select throws_ok(
    $$ select public.lock_for_booking(array[pg_temp.therapist(), pg_temp.other_client()]::uuid[]) $$,
    'PT403', 'Not allowed to act for this user', 'a user with another user'
);
set local role anon;
select throws_ok(
    $$ select public.lock_for_booking(array[pg_temp.therapist()]::uuid[]) $$,
    '42501', null, 'nobody without a login'
);
reset role;
select set_eq('locked', array[pg_temp.therapist(), pg_temp.client()]::uuid[], 'refusals lock nobody');

select * from finish();
rollback;
