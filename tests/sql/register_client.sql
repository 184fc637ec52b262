-- register_client(): make somebody a client, once.
begin;
\ir include/setup.sql
select plan(12);

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

-- A therapist
select pg_temp.act_as('service_role');
select is(
    public.register_client('A@therapist.test', 'Somebody'), pg_temp.therapist(),
    'a therapist becomes a client, too, under the same id'
);
select is(
    public.register_client('a@therapist.test', null, pg_temp.therapist()), pg_temp.therapist(), 'also by id and address'
);
reset role;
select results_eq(
    $$
        select p.user_type, p.full_name <> 'Somebody' or p.full_name is null, t.is_active
        from bookingdb.people as p
        inner join bookingdb.therapist_clients as t on p.id = t.therapist_id
    $$,
    $$ values ('therapist', true, true) $$,
    'stays a therapist, and keeps the name'
);

-- Refusal
select results_eq(
    $$
        select e.*
        from pg_temp.error_of(format(
            'select public.create_session_with_credit_deduction(%1$L, %1$L, current_date + 7, ''10:00'')',
            pg_temp.therapist()
        )) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb_build_object('code', 'invalid_parameter', 'parameter', 'p_therapist_id', 'reason', 'same_person')
        )
    $$,
    'nobody books with themselves'
);
select results_eq(
    $$
        select e.*
        from pg_temp.error_of(format(
            'select public.register_client(''other@therapist.test'', null, %L)', pg_temp.therapist()
        )) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb_build_object('code', 'invalid_parameter', 'parameter', 'p_user_id', 'reason', 'of_another_kind')
        )
    $$,
    'a therapist is meant by their own address alone'
);
select public.set_client_active(pg_temp.therapist(), false);
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.register_client(''a@therapist.test'')') as e $$,
    $$
        values (
            'PT409', 'Person is not active',
            jsonb_build_object('code', 'person_inactive', 'user_id', pg_temp.therapist())
        )
    $$,
    'whose part as a client is closed stays so'
);

select * from finish();
rollback;
