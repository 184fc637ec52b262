-- deliveries_status(): how far each destination is behind.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    deliveries_status()
    returns table (
        destination text,
        kind text,
        is_enabled boolean,
        disabled_reason text,
        backlog integer,
        due integer,
        in_flight integer,
        oldest timestamptz,
        dead integer
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('deliveries_status', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);
select public.relay_events();

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$ select s.destination, s.backlog, s.due, s.in_flight, s.dead from public.deliveries_status() as s $$,
    $$ values ('crm', 1, 1, 0, 0) $$,
    'one event is to be delivered'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.deliveries_status()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
