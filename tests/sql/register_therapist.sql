-- register_therapist(): make somebody a therapist, once, and say in which zone.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    register_therapist(
        p_email text, p_full_name text default null, p_user_id uuid default null, p_time_zone text default null
    ) returns uuid
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('register_therapist', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select is(
    public.register_therapist('new@therapist.test', 'New', pg_temp.nobody(), 'Europe/Berlin'), pg_temp.nobody(),
    'a trusted caller registers a therapist under an id of their choice'
);
select is(
    public.register_therapist(' NEW@therapist.test '), pg_temp.nobody(),
    'the same address, however it is written, is the same person'
);
reset role;
select results_eq(
    $$
        select u.email, u.full_name, u.user_type, u.is_active, u.is_verified
        from public.users as u where u.id = pg_temp.nobody()
    $$,
    $$ values ('new@therapist.test', 'New', 'therapist', true, true) $$,
    'who is active and verified'
);
select is(
    (select p.time_zone from public.get_policy(pg_temp.nobody()) as p), 'Europe/Berlin',
    'whose sessions are meant in that zone'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.register_therapist(''a@client.test'')') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb_build_object(
                'code', 'invalid_parameter', 'parameter', 'p_email', 'reason', 'of_another',
                'user_id', pg_temp.client()
            )
        )
    $$,
    'a client does not become a therapist'
);

select * from finish();
rollback;
