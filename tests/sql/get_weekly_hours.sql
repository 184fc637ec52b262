-- get_weekly_hours(): a therapist's weekly hours.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    get_weekly_hours(p_therapist_id uuid)
    returns table (
        weekday integer, start_time time, end_time time, valid_from date, valid_to date, every_weeks integer,
        time_zone text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_weekly_hours', 'authenticated', 'service_role');

-- The therapist has two windows, the other therapist none
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(),
    '[
        {"weekday": 5, "start_time": "22:00", "end_time": "02:00"},
        {"weekday": 1, "start_time": "09:00", "end_time": "12:00", "valid_from": "2030-01-01",
            "every_weeks": 2, "time_zone": "Europe/Lisbon"}
    ]'
) as h;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select h.* from public.get_weekly_hours(pg_temp.therapist()) as h',
    $$
        values
        (1, time '09:00', time '12:00', date '2030-01-01', null::date, 2, 'Europe/Lisbon'),
        (5, time '22:00', time '02:00', null::date, null::date, 1, null)
    $$,
    'anybody who is logged in reads them, in order'
);
select is_empty(
    'select h.* from public.get_weekly_hours(pg_temp.other_therapist()) as h', 'without hours there is no row'
);
reset role;

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.get_weekly_hours(pg_temp.client())') as e $$,
    $$
        values (
            'PT404', 'Therapist not found', jsonb_build_object(
                'code', 'therapist_not_found', 'therapist_id', pg_temp.client()
            )
        )
    $$,
    'a client has none'
);

select * from finish();
rollback;
