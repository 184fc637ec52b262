begin;
\ir include/setup.sql
select plan(29);

select has_function(
    'public', 'register_client',
    array['text', 'text', 'uuid']
);
select function_lang_is('public'::name, 'register_client'::name, 'plpgsql'::name);
select function_returns('public'::name, 'register_client'::name, 'uuid');
select volatility_is('public'::name, 'register_client'::name, 'volatile');
select isnt_definer('public'::name, 'register_client'::name);

select is(
    public.register_client('a@client.test', 'A Client', pg_temp.client()),
    pg_temp.client(),
    'returns the id that it was given'
);
select results_eq(
    $$
        select u.email, u.full_name, u.user_type, u.is_active, u.is_verified
        from public.users as u where u.id = pg_temp.client()
    $$,
    $$ values ('a@client.test', 'A Client', 'user', true, true) $$,
    'writes an active, verified user'
);
select isnt(public.register_client('b@client.test'), null, 'makes an id where none is given');
select is(
    public.register_client('  A@Client.test '),
    pg_temp.client(),
    'the same address, however it is written, is the same person'
);
select is(
    public.register_client('new@client.test', null, pg_temp.client()),
    pg_temp.client(),
    'the same id with another address is the same person'
);
select results_eq(
    $$ select u.email, u.full_name from public.users as u where u.id = pg_temp.client() $$,
    $$ values ('new@client.test', 'A Client') $$,
    'whose address is changed, and whose name is kept'
);
update public.users as u set is_active = false
where u.id = pg_temp.client();
select public.register_client('new@client.test', null, pg_temp.client());
select results_eq(
    $$ select u.is_active from public.users as u where u.id = pg_temp.client() $$,
    array[true], 'registering again reactivates'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist());
select public.register_client('c@client.test', 'C', pg_temp.other_client());
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
        format('select public.register_client(%L, %L, %L)', r.email, r.full_name, r.user_id),
        'PT400', 'Invalid parameter', r.name
    )
from (
    values
    (null, null, null, 'no address'),
    ('', null, null, 'an empty address'),
    ('nobody', null, null, 'an address without @'),
    ('a b@client.test', null, null, 'an address with a space'),
    (repeat('a', 320) || '@client.test', null, null, 'an address that is too long'),
    ('d@client.test', repeat('n', 256), null, 'a name of 256 characters'),
    ('a@therapist.test', null, null, 'a therapist''s address'),
    ('d@client.test', null, pg_temp.therapist(), 'a therapist''s id'),
    ('new@client.test', null, pg_temp.other_client(), 'the address of one client with the id of another'),
    ('new@client.test', null, pg_temp.stranger(), 'the address of a client with a new id')
) as r (email, full_name, user_id, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select throws_ok($$ select public.register_client('d@client.test') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.stranger(), 'd@client.test');
select throws_ok(
    $$ select public.register_client('e@client.test') $$,
    'PT403', 'Not allowed to act for this user', 'a user under an address that its token does not prove'
);
select throws_ok(
    $$ select public.register_client('d@client.test', null, pg_temp.other_client()) $$,
    'PT403', 'Not allowed to act for this user', 'a user for another user'
);
reset role;
select set_eq(
    'select u.id, u.email, u.full_name, u.user_type, u.is_active, u.is_verified from public.users as u',
    'select b.* from before_refusals as b',
    'refusals write nothing'
);

set local role authenticated;
select is(
    public.register_client('D@client.test', 'D'),
    pg_temp.stranger(),
    'a user for itself, with the id of its token'
);
reset role;
update public.users as u set is_active = false
where u.id = pg_temp.stranger();
set local role authenticated;
select throws_ok(
    $$ select public.register_client('d@client.test') $$,
    'PT403', 'Not allowed to act for this user', 'a user that was deactivated does not lift that itself'
);
set local role anon;
select throws_ok($$ select public.register_client('f@client.test') $$, '42501', null, 'nobody without a login');
reset role;

select * from finish();
rollback;
