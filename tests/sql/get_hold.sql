-- get_hold(): a hold, and what became of it.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    get_hold(p_hold_id uuid)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, start_time timestamptz, end_time timestamptz, time_zone text,
        expires_at timestamptz, scheduled_date date, scheduled_time time, duration_minutes integer, state text,
        client_name text, therapist_name text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_hold', 'authenticated', 'service_role');

-- Given
create temporary table held as
select h.id from public.hold_slot(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00') as h;
grant select on held to authenticated;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select h.start_time, h.state, h.client_name
        from held
        cross join lateral public.get_hold(held.id) as h
    $$,
    $$ values (pg_temp.at('10:00'), 'held', 'A') $$, 'the client sees that it is alive'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.get_hold(pg_temp.nobody())') as e
    $$,
    $$ values ('PT404', 'Hold not found', 'hold_not_found') $$, 'a hold that nobody placed is not found'
);

select * from finish();
rollback;
