-- add_time_off(): let nothing be booked with a therapist for a time.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    add_time_off(p_therapist_id uuid, p_start timestamptz, p_end timestamptz, p_reason text default null)
    returns table (id uuid, start_time timestamptz, end_time timestamptz, reason text, session_ids uuid[])
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('add_time_off', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select t.start_time, t.end_time, t.reason, t.session_ids
        from public.add_time_off(pg_temp.therapist(), pg_temp.at('09:00'), pg_temp.at('18:00', 1), 'a conference') as t
    $$,
    $$ values (pg_temp.at('09:00'), pg_temp.at('18:00', 1), 'a conference', array[pg_temp.session('booked')]) $$,
    'the therapist is told which sessions lie in it'
);
reset role;
select results_eq(
    $$
        select a.therapist_id, a.client_id, a.period, a.reason
        from bookingdb.absences as a where a.kind = 'time_off'
    $$,
    $$
        values (
            pg_temp.therapist(), null::uuid, tstzrange(pg_temp.at('09:00'), pg_temp.at('18:00', 1)), 'a conference'
        )
    $$,
    'it is an absence'
);
select results_eq('select s.status::text from public.sessions as s', array['scheduled'], 'the sessions stay booked');
select is(
    public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday(), '14:00', '15:00'), true,
    'nothing can be booked in it'
);
select is(pg_temp.events(pg_temp.therapist()), array['availability.changed'], 'one event tells of it');

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.add_time_off(pg_temp.therapist(), pg_temp.at(''10:00''), pg_temp.at(''10:00''))'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_end", "reason": "not_after_start"}'
        )
    $$,
    'it ends after it begins'
);

select * from finish();
rollback;
