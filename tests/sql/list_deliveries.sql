-- list_deliveries(): what became of events.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_deliveries(
        p_destination text default null,
        p_status text default null,
        p_subject_id uuid default null,
        p_limit integer default 100,
        p_before timestamptz default null
    )
    returns table (
        id uuid,
        destination text,
        kind text,
        type text,
        subject_id uuid,
        recipient_id uuid,
        status text,
        attempts integer,
        occurred_at timestamptz,
        created_at timestamptz,
        due_at timestamptz,
        finished_at timestamptz,
        status_code integer,
        detail text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_deliveries', 'authenticated', 'service_role');

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
    $$ select l.destination, l.type, l.status, l.attempts from public.list_deliveries('crm', 'pending') as l $$,
    $$ values ('crm', 'credits.granted', 'pending', 0) $$,
    'it is still to be sent'
);
select is_empty($$ select public.list_deliveries(p_status => 'dead') $$, 'none is dead');
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.list_deliveries()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
