-- act_as(): act as a user until the transaction ends.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    act_as(p_user_id uuid) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('act_as', 'authenticated', 'service_role');

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.act_as(pg_temp.client())') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'a logged-in user acts as nobody, not even as themselves'
);
reset role;

-- Example
select lives_ok($$ select public.act_as(pg_temp.client()) $$, 'a trusted caller acts as a client');
select is(public.get_credit_balance(pg_temp.client()), 5, 'and sees what the client sees');
select results_eq(
    $$
        select e.* from pg_temp.error_of('select public.get_credit_balance(pg_temp.other_client())') as e
    $$,
    $$
        values (
            'PT403', 'Not allowed to act for this user',
            jsonb_build_object('code', 'not_allowed', 'user_id', pg_temp.other_client())
        )
    $$,
    'and nothing of anybody else'
);
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.act_as(pg_temp.other_client())') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'nor does the client act as another client'
);
select lives_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00', p_title => 'acted'
        )
    $$,
    'the client books'
);
select results_eq(
    $$
        select a.actor
        from public.booking_audit_log as a
        inner join public.sessions as s on s.id = a.session_id
        where s.title = 'acted'
    $$,
    $$ values (pg_temp.client()::text) $$,
    'and the audit log names them'
);

select * from finish();
rollback;
