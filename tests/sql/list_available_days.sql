-- list_available_days(): the dates on which a therapist has something free.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    list_available_days(
        p_therapist_id uuid, p_from date, p_to date, p_duration_minutes integer default 60,
        p_time_zone text default null, p_step_minutes integer default null,
        p_exclude_session_id uuid default null, p_user_id uuid default null
    )
    returns table (local_date date, slots integer, first_start timestamptz, last_start timestamptz)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_available_days', 'authenticated', 'service_role');

-- The therapist is there on Mondays from nine to twelve, and has a session at ten
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$
        select d.local_date, d.slots, d.first_start, d.last_start
        from public.list_available_days(
            pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 7, p_step_minutes => 30
        ) as d
    $$,
    $$
        values
        (pg_temp.monday(), 2, pg_temp.at('09:00'), pg_temp.at('11:00')),
        (pg_temp.monday() + 7, 5, pg_temp.at('09:00', 7), pg_temp.at('11:00', 7))
    $$,
    'a date has its number of slots, its first and its last'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.list_available_days(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() - 1)'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_to", "maximum_days": 366}'
        )
    $$,
    'the last date does not come before the first'
);

select * from finish();
rollback;
