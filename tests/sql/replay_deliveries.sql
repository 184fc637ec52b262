-- replay_deliveries(): send again.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    replay_deliveries(
        p_destination text,
        p_delivery_id uuid default null,
        p_from timestamptz default null,
        p_to timestamptz default null,
        p_status text default 'dead'
    )
    returns integer
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('replay_deliveries', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);
select public.relay_events();
create temporary table dead as
select public.finish_delivery(c.id, c.token, 'dead') from public.claim_deliveries() as c;

-- Example
select pg_temp.act_as('service_role');
select is(public.replay_deliveries('crm'), 1, 'what was dead is sent again');
reset role;
select is((select count(*) from public.claim_deliveries()), 1::bigint, 'a worker gets it');

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.replay_deliveries(''crm'')') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
