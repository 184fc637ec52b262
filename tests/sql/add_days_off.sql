-- add_days_off(): let nothing be booked with a therapist on whole days of their zone.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    add_days_off(p_therapist_id uuid, p_first_date date, p_last_date date, p_reason text default null)
    returns table (id uuid, start_time timestamptz, end_time timestamptz, reason text, session_ids uuid[])
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('add_days_off', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select t.start_time, t.end_time, t.reason, t.session_ids
        from public.add_days_off(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 1, 'a holiday') as t
    $$,
    $$ values (pg_temp.at('00:00'), pg_temp.at('00:00', 2), 'a holiday', array[pg_temp.session('booked')]) $$,
    'the therapist is told which sessions lie in them'
);
reset role;
select results_eq(
    $$
        select a.therapist_id, a.client_id, a.period, a.reason
        from bookingdb.absences as a where a.kind = 'time_off'
    $$,
    $$
        values (
            pg_temp.therapist(), null::uuid, tstzrange(pg_temp.at('00:00'), pg_temp.at('00:00', 2)), 'a holiday'
        )
    $$,
    'they are one absence'
);
select results_eq('select s.status::text from public.sessions as s', array['scheduled'], 'the sessions stay booked');
select is(pg_temp.events(pg_temp.therapist()), array['availability.changed'], 'one event tells of them');

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.add_days_off(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() - 1)'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_last_date", "reason": "before_first_date"}'
        )
    $$,
    'the last day is not before the first'
);

select * from finish();
rollback;
