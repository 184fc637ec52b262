-- find_people(): somebody by id, e-mail address, or a part of their name.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    find_people(p_search text, p_limit integer default 20)
    returns table (
        id uuid, email text, full_name text, user_type text, is_active boolean, is_verified boolean, time_zone text,
        credits_balance integer
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('find_people', 'authenticated', 'service_role');

-- Given
update public.users
set full_name = 'Ada Lovelace', is_active = false
where id = pg_temp.client();

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$ select p.* from public.find_people('A@CLIENT.test') as p $$,
    $$ values (pg_temp.client(), 'a@client.test', 'Ada Lovelace', 'user', false, true, null::text, 5) $$,
    'a trusted caller finds a client by their address, and what they can spend'
);
select results_eq(
    $$ select p.id, p.time_zone, p.credits_balance from public.find_people(pg_temp.therapist()::text) as p $$,
    $$ values (pg_temp.therapist(), 'UTC', null::integer) $$,
    'a therapist by their id, and their zone'
);
select results_eq(
    $$ select p.id from public.find_people('love') as p $$, $$ values (pg_temp.client()) $$,
    'and anybody by a part of their name'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.find_people(''a'')') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'a user finds nobody'
);
reset role;

select * from finish();
rollback;
