-- list_therapists(): who can be booked, by name.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    list_therapists(p_include_inactive boolean default false)
    returns table (id uuid, full_name text, time_zone text, is_active boolean, email text)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_therapists', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select t.* from public.list_therapists() as t $$,
    $$
        values
        (pg_temp.therapist(), 'A', 'UTC', true, null::text), (pg_temp.other_therapist(), 'B', 'UTC', true, null)
    $$,
    'a client sees the therapists, without their addresses'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'parameter'
        from pg_temp.error_of('select public.list_therapists(true)') as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', 'p_include_inactive') $$,
    'and not those who cannot be booked'
);
reset role;

select * from finish();
rollback;
