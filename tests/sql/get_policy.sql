-- get_policy(): what holds for a therapist, or by default.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared(format($$
    get_policy(p_therapist_id uuid default null)
    returns table (therapist_id uuid, %s)
    language plpgsql stable security invoker
$$, pg_temp.settings()));
select pg_temp.is_executed_by('get_policy', 'authenticated', 'service_role');

-- One therapist has a setting of its own
select p.therapist_id from public.set_policy('{"cancellation_window": "48 hours"}', pg_temp.therapist()) as p;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select p.therapist_id, p.time_zone, p.maximum_duration_minutes, p.cancellation_window, p.require_hours
        from public.get_policy(pg_temp.therapist()) as p
    $$,
    $$ values (pg_temp.therapist(), 'UTC', 180, interval '48 hours', false) $$,
    'the settings of the therapist stand before those of the default, one by one'
);
select results_eq(
    'select p.therapist_id, p.cancellation_window from public.get_policy() as p',
    $$ values (null::uuid, interval '24 hours') $$,
    'the default stays what it is'
);
reset role;

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.get_policy(pg_temp.client())') as e $$,
    $$
        values (
            'PT404', 'Therapist not found', jsonb_build_object(
                'code', 'therapist_not_found', 'therapist_id', pg_temp.client()
            )
        )
    $$,
    'a client has no policy'
);

select * from finish();
rollback;
