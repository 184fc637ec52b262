-- list_holds(): the holds that are alive.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    list_holds(p_user_id uuid default null, p_therapist_id uuid default null)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, start_time timestamptz, end_time timestamptz, time_zone text,
        expires_at timestamptz, scheduled_date date, scheduled_time time, duration_minutes integer, state text,
        client_name text, therapist_name text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_holds', 'authenticated', 'service_role');

-- Given
create temporary table held as
select h.id from public.hold_slot(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00') as h;
grant select on held to authenticated;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select h.start_time, h.state, h.therapist_name from public.list_holds() as h $$,
    $$ values (pg_temp.at('10:00'), 'held', 'A') $$, 'the client sees their own'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.list_holds(pg_temp.client())') as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', 'not_allowed') $$, 'and nobody else''s'
);
reset role;

select * from finish();
rollback;
