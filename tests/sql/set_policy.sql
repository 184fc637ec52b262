-- set_policy(): change settings for a therapist, or by default.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared(format($$
    set_policy(p_settings jsonb, p_therapist_id uuid default null)
    returns table (therapist_id uuid, %s)
    language plpgsql volatile security invoker
$$, pg_temp.settings()));
select pg_temp.is_executed_by('set_policy', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select p.therapist_id, p.cancellation_window, p.maximum_duration_minutes
        from public.set_policy(
            '{"cancellation_window": "48 hours", "maximum_duration_minutes": 90}', pg_temp.therapist()
        ) as p
    $$,
    $$ values (pg_temp.therapist(), interval '48 hours', 90) $$,
    'a trusted caller changes what is named, and is told what holds now'
);
select results_eq(
    $$
        select p.cancellation_window, p.maximum_duration_minutes
        from public.set_policy('{"maximum_duration_minutes": null}', pg_temp.therapist()) as p
    $$,
    $$ values (interval '48 hours', 180) $$,
    'null means: as the default says'
);
reset role;
select results_eq(
    $$
        select p.cancellation_window, p.maximum_duration_minutes
        from bookingdb.policies as p where p.therapist_id = pg_temp.therapist()
    $$,
    $$ values (interval '48 hours', null::integer) $$,
    'only what differs is written'
);
select is(
    (select p.cancellation_window from public.get_policy(pg_temp.other_therapist()) as p), interval '24 hours',
    'nothing changes for another therapist'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.set_policy(''{"hold_lifetime": "2 hours"}'')') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter', jsonb '{
                "code": "invalid_parameter", "parameter": "hold_lifetime", "minimum": "10 seconds", "maximum": "1 hour"
            }'
        )
    $$,
    'the error names the setting, and what it may be'
);

select * from finish();
rollback;
