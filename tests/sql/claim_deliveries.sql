-- claim_deliveries(): take what is to be sent.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    claim_deliveries(
        p_limit integer default 10,
        p_lease interval default '00:01:00',
        p_destinations text[] default null,
        p_kinds text[] default null,
        p_delivery_id uuid default null
    )
    returns table (
        id uuid,
        token uuid,
        attempt integer,
        destination text,
        kind text,
        settings jsonb,
        secrets jsonb,
        state jsonb,
        type text,
        subject_id uuid,
        recipient_id uuid,
        body jsonb,
        context jsonb,
        leased_until timestamptz
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('claim_deliveries', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);
select public.relay_events();

-- Example
select results_eq(
    $$
        select c.attempt, c.destination, c.kind, c.secrets, c.body ->> 'type', c.body #>> '{data,amount}'
        from public.claim_deliveries() as c
    $$,
    $$
        values (
            1, 'crm', 'webhook', jsonb '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}', 'credits.granted', '3'
        )
    $$,
    'a worker gets body and secrets'
);
select is_empty('select public.claim_deliveries()', 'while the lease lasts it is nobody else''s');

-- Refusal
select pg_temp.act_as('service_role');
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.claim_deliveries()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed", "reason": "no_worker"}') $$,
    'a trusted role that is no worker has no part in it'
);
reset role;

select * from finish();
rollback;
