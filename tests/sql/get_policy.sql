-- get_policy(): what holds for a therapist, or by default.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    get_policy(p_therapist_id uuid default null)
    returns table (
        therapist_id uuid, time_zone text, minimum_duration_minutes integer, maximum_duration_minutes integer,
        cancellation_window interval, refund_grace interval, hold_lifetime interval, buffer_before_minutes integer,
        buffer_after_minutes integer, minimum_notice interval, maximum_advance interval, slot_step_minutes integer,
        slot_offset_minutes integer, maximum_sessions_per_day integer, maximum_sessions_per_week integer,
        require_hours boolean
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_policy', 'authenticated', 'service_role', 'bookingdb_service');

-- One therapist has a setting of its own
select p.therapist_id from public.set_policy('{"cancellation_window": "48 hours"}', pg_temp.therapist()) as p;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select p.* from public.get_policy(pg_temp.therapist()) as p',
    $$
        values (
            pg_temp.therapist(), 'UTC', 15, 180, interval '48 hours', interval '30 days', interval '5 minutes', 0, 0,
            interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
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
