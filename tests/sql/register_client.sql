-- register_client(): make somebody a client, once.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    register_client(p_email text, p_full_name text default null, p_user_id uuid default null) returns uuid
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('register_client', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select is(
    public.register_client('new@client.test', 'New', pg_temp.nobody()), pg_temp.nobody(),
    'a trusted caller registers a client under an id of their choice'
);
select is(
    public.register_client(' NEW@client.test '), pg_temp.nobody(),
    'the same address, however it is written, is the same person'
);
reset role;
select results_eq(
    $$
        select u.email, u.full_name, u.user_type, u.is_active, u.is_verified
        from public.users as u where u.id = pg_temp.nobody()
    $$,
    $$ values ('new@client.test', 'New', 'user', true, true) $$,
    'who is active and verified'
);
select is(public.get_credit_balance(pg_temp.nobody()), 0, 'and has no credits');

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.register_client(''a@therapist.test'')') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb_build_object(
                'code', 'invalid_parameter', 'parameter', 'p_email', 'reason', 'of_another',
                'user_id', pg_temp.therapist()
            )
        )
    $$,
    'a therapist does not become a client'
);

select * from finish();
rollback;
