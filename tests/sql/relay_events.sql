-- relay_events(): make deliveries of events.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    relay_events(p_limit integer default 1000)
    returns integer
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('relay_events', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);

-- Example
select ok(public.relay_events() > 0, 'what happened is handled');
select results_eq(
    $$ select d.type, d.status, d.is_next from bookingdb.deliveries as d $$,
    $$ values ('credits.granted', 'pending', true) $$,
    'the destination gets what it asked for'
);

-- Refusal
select pg_temp.act_as('service_role');
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.relay_events()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed", "reason": "no_worker"}') $$,
    'a trusted role that is no worker has no part in it'
);
reset role;

select * from finish();
rollback;
