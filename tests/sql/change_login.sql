-- change_login(): let a client log in with another id.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    change_login(p_user_id uuid, p_new_user_id uuid)
    returns table (user_id uuid, sessions integer, credits integer, credits_balance integer)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('change_login', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    'select c.* from public.change_login(pg_temp.client(), pg_temp.nobody()) as c',
    $$ values (pg_temp.nobody(), 1, 4, 4) $$,
    'a trusted caller gives a client another login: everything passes on'
);
reset role;
select results_eq(
    $$
        select u.id, u.email, u.full_name, u.is_active
        from public.users as u
        where u.id in (pg_temp.client(), pg_temp.nobody())
        order by u.id
    $$,
    $$
        values (pg_temp.client(), null::text, null::text, false), (pg_temp.nobody(), 'a@client.test', 'A', true)
    $$,
    'name and address, too'
);
select results_eq(
    'select m.from_user_id, m.into_user_id, m.kind from bookingdb.merged_people as m',
    $$ values (pg_temp.client(), pg_temp.nobody(), 'login') $$,
    'and it is on record'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.change_login(pg_temp.nobody(), pg_temp.nobody())') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_new_user_id", "reason": "same_person"}'
        )
    $$,
    'the new login is another one'
);

select * from finish();
rollback;
