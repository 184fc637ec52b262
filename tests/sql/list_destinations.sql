-- list_destinations(): who is told of which events.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    list_destinations()
    returns table (
        name text,
        kind text,
        events text[],
        settings jsonb,
        secret_names text[],
        is_enabled boolean,
        disabled_reason text,
        starts_at timestamptz,
        created_at timestamptz
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_destinations', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$ select d.name, d.events, d.secret_names from public.list_destinations() as d $$,
    $$ values ('crm', '{hold.placed,credits.granted}'::text[], '{signing}'::text[]) $$,
    'the names of its secrets are shown'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.list_destinations()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
