-- set_destination(): create a destination, or change it.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    set_destination(
        p_name text,
        p_kind text default null,
        p_events text[] default null,
        p_settings jsonb default null,
        p_secrets jsonb default null,
        p_is_enabled boolean default null
    )
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
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_destination', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select d.name, d.kind, d.events, d.secret_names, d.is_enabled
        from public.set_destination(
            'crm', 'webhook', '{session.*}', '{"url": "https://crm.example/hook"}',
            '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
        ) as d
    $$,
    $$ values ('crm', 'webhook', '{session.*}'::text[], '{signing}'::text[], true) $$,
    'there is a destination, and its secrets are not shown'
);
select results_eq(
    $$
        select d.events, d.is_enabled, d.disabled_reason
        from public.set_destination('crm', p_is_enabled => false) as d
    $$,
    $$ values ('{session.*}'::text[], false, 'by hand') $$,
    'what is not given stays'
);
reset role;

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.set_destination(''none'')') as e $$,
    $$ values ('PT404', 'Destination not found', jsonb '{"code": "destination_not_found", "destination": "none"}') $$,
    'a new one needs a kind'
);
-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.set_destination(''crm'', p_is_enabled => true)') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
