-- get_contact(): how a person wants to be reached.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    get_contact(p_user_id uuid)
    returns table (
        user_id uuid, email text, phone text, time_zone text, language text, quiet_from time, quiet_until time,
        consents jsonb
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_contact', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select c.email, c.phone, c.time_zone, c.consents from public.get_contact(pg_temp.client()) as c',
    $$ select 'a@client.test', null::text, p.time_zone, jsonb '{}' from public.get_policy() as p $$,
    'without words of theirs, what the application and the default policy say'
);

-- Refusal
select results_eq(
    $$ select e.sqlstate from pg_temp.error_of('select public.get_contact(pg_temp.other_client())') as e $$,
    array['PT403'],
    'nobody else''s'
);
reset role;

select pg_temp.act_as('service_role');
select results_eq(
    $$ select e.sqlstate from pg_temp.error_of('select public.get_contact(pg_temp.nobody())') as e $$,
    array['PT404'],
    'there is nobody'
);
reset role;

select * from finish();
rollback;
