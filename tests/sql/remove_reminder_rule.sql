-- remove_reminder_rule(): nobody is reminded by a rule any more.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    remove_reminder_rule(p_name text)
    returns boolean
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('remove_reminder_rule', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$ select public.remove_reminder_rule('hour') from generate_series(1, 2) $$, array[true, false], 'it goes once'
);
reset role;
select results_eq('select r.name from bookingdb.reminder_rules as r', array['day'], 'the other stays');

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.remove_reminder_rule(null)') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
