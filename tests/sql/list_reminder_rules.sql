-- list_reminder_rules(): who is reminded, when and how.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    list_reminder_rules()
    returns table (name text, before interval, audience text[], channel text, heeds_quiet_hours boolean)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_reminder_rules', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    'select r.* from public.list_reminder_rules() as r',
    $$
        values
        ('day', interval '24 hours', array['client'], 'email', true),
        ('hour', interval '1 hour', array['client'], 'email', true)
    $$,
    'a new installation has two'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.list_reminder_rules()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
