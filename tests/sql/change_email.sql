-- change_email(): give somebody another e-mail address, or none.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    change_email(p_user_id uuid, p_email text) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('change_email', 'authenticated', 'service_role');

-- Given
select public.register_client('somebody@example.com');

-- Example
select pg_temp.act_as('service_role');
select lives_ok(
    $$ select public.change_email(pg_temp.client(), ' Ada@Example.org ') $$, 'a trusted caller changes an address'
);
select is(
    (
        select u.email from public.users as u
        where u.id = pg_temp.client()
    ), 'Ada@Example.org',
    'without the white space around it'
);
select lives_ok($$ select public.change_email(pg_temp.client(), null) $$, 'and takes it away');
reset role;
select is((
    select u.email from public.users as u
    where u.id = pg_temp.client()
), null, 'which frees it');

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of(
        'select public.change_email(pg_temp.client(), ''another@example.org'')'
    ) as e $$,
    $$
        values (
            'PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed", "parameter": "p_email"}'
        )
    $$,
    'a user takes no address that their token does not prove'
);
reset role;
select results_eq(
    $$ select e.code_, e.message from (
        select d.sqlstate as code_, d.message
        from pg_temp.error_of('select public.change_email(pg_temp.client(), ''SOMEBODY@example.com'')')
            as d (sqlstate, message, detail)
        where d.detail @> '{"parameter": "p_email", "reason": "of_another"}'
    ) as e $$,
    $$ values ('PT400', 'Invalid parameter') $$,
    'an address of somebody else is refused'
);

select * from finish();
rollback;
