-- set_date_override(): let other hours than the weekly ones hold on a date.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    set_date_override(p_therapist_id uuid, p_date date, p_hours jsonb default null)
    returns table (override_date date, start_time time, end_time time)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_date_override', 'authenticated', 'service_role');

-- The therapist is there on Mondays from nine to twelve
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select d.override_date, d.start_time, d.end_time
        from public.set_date_override(
            pg_temp.therapist(), pg_temp.monday(), '[{"start_time": "14:00", "end_time": "15:00"}]'
        ) as d
    $$,
    $$ values (pg_temp.monday(), time '14:00', time '15:00') $$,
    'a therapist sets other hours for a date'
);
select results_eq(
    $$
        select d.override_date, d.start_time, d.end_time
        from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 7, '[]') as d
    $$,
    $$ values (pg_temp.monday() + 7, null::time, null::time) $$,
    'and closes another date'
);
reset role;
select results_eq(
    'select d.override_date, d.start_time from bookingdb.date_overrides as d order by d.override_date',
    $$ values (pg_temp.monday(), time '14:00'), (pg_temp.monday() + 7, null) $$,
    'both are written'
);
select results_eq(
    $$
        select public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday() + t.day, t.starts, t.ends)
        from (
            values
            (0, time '14:00', time '15:00'), (0, '09:00', '10:00'), (7, '09:00', '10:00'), (14, '09:00', '10:00')
        ) as t (day, starts, ends)
    $$,
    array[false, true, true, false],
    'they hold on their dates instead of the week'
);
select is(
    pg_temp.events(pg_temp.therapist()), array_fill('availability.changed'::text, array[3]),
    'an event tells of each, as of the week'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.set_date_override(
                pg_temp.therapist(), pg_temp.monday(), ''[{"weekday": 1, "start_time": "09:00", "end_time": "10:00"}]''
            )'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_hours", "reason": "not_for_a_date"}'
        )
    $$,
    'a window of a date has no weekday'
);

select * from finish();
rollback;
