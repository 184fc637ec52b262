-- remove_destination(): remove a destination with its deliveries.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    remove_destination(p_name text)
    returns boolean
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('remove_destination', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);

-- Example
select pg_temp.act_as('service_role');
select ok(public.remove_destination('crm'), 'it is removed');
select ok(not public.remove_destination('crm'), 'once');
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.remove_destination(''crm'')') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
