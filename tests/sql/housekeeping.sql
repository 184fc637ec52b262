-- housekeeping(): remove what is over.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    housekeeping(p_limit integer default 1000, p_dry_run boolean default false)
    returns table (
        idempotency_keys integer, holds integer, held_times integer, session_times integer, time_off integer,
        external_events integer, events integer, refusals integer, lapsed_sessions integer
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('housekeeping', 'authenticated', 'service_role');

-- An event was handled long ago
update bookingdb.outbox set handled_at = now() - interval '31 days'
where id = (select min(o.id) from bookingdb.outbox as o);

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    'select h.events, h.holds from public.housekeeping(p_dry_run => true) as h',
    $$ values (1, 0) $$,
    'a dry run counts'
);
select results_eq(
    'select h.events, h.holds from public.housekeeping() as h',
    $$ values (1, 0) $$,
    'a trusted caller is told how many of each kind were removed'
);
select results_eq(
    'select h.* from public.housekeeping(10000) as h',
    $$ values (0, 0, 0, 0, 0, 0, 0, 0, 0) $$,
    'done again it finds nothing'
);

-- Refusals
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.housekeeping(0)') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_limit", "minimum": 1, "maximum": 10000}'
        )
    $$,
    'a call removes 1 to 10000 of a kind'
);
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.housekeeping(1, null)') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_dry_run", "reason": "missing"}'
        )
    $$,
    'it is a dry run or not'
);
reset role;
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.housekeeping()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
