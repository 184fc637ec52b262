-- set_weekly_hours(): put weekly hours in the place of all that a therapist has.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    set_weekly_hours(p_therapist_id uuid, p_hours jsonb)
    returns table (
        weekday integer, start_time time, end_time time, valid_from date, valid_to date, every_weeks integer,
        time_zone text
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_weekly_hours', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select h.weekday, h.start_time, h.end_time, h.valid_from, h.valid_to
        from public.set_weekly_hours(
            pg_temp.therapist(),
            '[
                {"weekday": 5, "start_time": "22:00", "end_time": "02:00"},
                {"weekday": 1, "start_time": "09:00", "end_time": "12:00", "valid_to": "2099-12-31"}
            ]'
        ) as h
    $$,
    $$
        values
        (1, time '09:00', time '12:00', null::date, date '2099-12-31'),
        (5, time '22:00', time '02:00', null::date, null::date)
    $$,
    'a therapist sets the week, and gets it back in order'
);
reset role;
select results_eq(
    'select w.weekday, w.start_time from bookingdb.weekly_hours as w order by w.weekday',
    $$ values (1, time '09:00'), (5, time '22:00') $$,
    'the windows are written'
);
select is(pg_temp.events(pg_temp.therapist()), array['availability.changed'], 'one event tells of it');
select results_eq(
    $$
        select public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday() + t.day, t.starts, t.ends)
        from (
            values (0, time '11:00', time '12:00'), (0, '11:30', '12:30'), (4, '23:30', '00:30'), (1, '09:00', '10:00')
        ) as t (day, starts, ends)
    $$,
    array[false, true, false, true],
    'only within them can the therapist be booked'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.set_weekly_hours(
                pg_temp.therapist(), ''[{"weekday": 1, "start_time": "09:00", "end_time": "25:00"}]''
            )'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_hours", "window": 1}'
        )
    $$,
    'the error names the window that is wrong'
);

select * from finish();
rollback;
