-- finish_delivery(): say what became of it.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    finish_delivery(
        p_delivery_id uuid,
        p_token uuid,
        p_outcome text,
        p_status_code integer default null,
        p_detail text default null,
        p_retry_after interval default null,
        p_state jsonb default null
    )
    returns boolean
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('finish_delivery', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);
select public.relay_events();
create temporary table claimed as
select
    c.id,
    c.token
from public.claim_deliveries() as c;

-- Example
select ok(public.finish_delivery(c.id, c.token, 'delivered', 204), 'it is finished') from claimed as c;
select results_eq(
    $$ select d.status, d.status_code, d.finished_at is not null from bookingdb.deliveries as d $$,
    $$ values ('delivered', 204, true) $$,
    'and stays on record'
);
select ok(not public.finish_delivery(c.id, c.token, 'dead'), 'the token counts once') from claimed as c;

-- Refusal
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select e.*
        from pg_temp.error_of('select public.finish_delivery(gen_random_uuid(), gen_random_uuid(), ''dead'')') as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed", "reason": "no_worker"}') $$,
    'a trusted role that is no worker has no part in it'
);
reset role;

select * from finish();
rollback;
