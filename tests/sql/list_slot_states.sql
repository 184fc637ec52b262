-- list_slot_states(): every time of a therapist's grid of slots with its state, for a calendar to draw.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_slot_states(
        p_therapist_id uuid, p_from date, p_to date, p_duration_minutes integer default 60,
        p_time_zone text default null, p_step_minutes integer default null,
        p_exclude_session_id uuid default null, p_user_id uuid default null
    )
    returns table (start_time timestamptz, end_time timestamptz, local_date date, local_time time, state text)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_slot_states', 'authenticated', 'service_role');

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
        select s.start_time, s.end_time, s.local_time, s.state
        from public.list_slot_states(
            pg_temp.therapist(), pg_temp.monday(), pg_temp.monday(), p_step_minutes => 60
        ) as s
        where s.local_time between '08:00' and '12:00'
    $$,
    $$
        values
        (pg_temp.at('08:00'), pg_temp.at('09:00'), time '08:00', 'off'),
        (pg_temp.at('09:00'), pg_temp.at('10:00'), time '09:00', 'free'),
        (pg_temp.at('10:00'), pg_temp.at('11:00'), time '10:00', 'taken'),
        (pg_temp.at('11:00'), pg_temp.at('12:00'), time '11:00', 'free'),
        (pg_temp.at('12:00'), pg_temp.at('13:00'), time '12:00', 'off')
    $$,
    'anybody who is logged in sees every time of the grid, in order'
);
select results_eq(
    $$
        select s.start_time
        from public.list_slot_states(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 14) as s
        where s.state = 'free'
    $$,
    $$
        select s.start_time
        from public.list_available_slots(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 14) as s
    $$,
    'what is free is what list_available_slots() lists'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.list_slot_states(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 366)'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_to", "maximum_days": 366}'
        )
    $$,
    'more than 366 days are not listed at once'
);

select * from finish();
rollback;
