-- next_available_slot(): the first time, from a timestamp on, at which a therapist can be booked.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    next_available_slot(
        p_therapist_id uuid, p_duration_minutes integer default 60, p_after timestamptz default null,
        p_time_zone text default null, p_step_minutes integer default null,
        p_exclude_session_id uuid default null, p_user_id uuid default null
    )
    returns table (start_time timestamptz, end_time timestamptz, local_date date, local_time time)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('next_available_slot', 'authenticated', 'service_role');

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
        select s.start_time, s.end_time, s.local_date, s.local_time
        from public.next_available_slot(pg_temp.therapist(), p_after => pg_temp.at('09:01')) as s
    $$,
    $$ values (pg_temp.at('11:00'), pg_temp.at('12:00'), pg_temp.monday(), time '11:00') $$,
    'after nine o''clock, and with a session at ten, it is eleven'
);
select is_empty(
    $$
        select s.start_time
        from public.next_available_slot(pg_temp.therapist(), p_after => now() + interval '366 days') as s
    $$,
    'farther ahead than can be booked there is none'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'parameter'
        from pg_temp.error_of(
            'select public.next_available_slot(pg_temp.therapist(), p_after => ''infinity'')'
        ) as e
    $$,
    $$ values ('PT400', 'Invalid parameter', 'p_after') $$,
    'an end of time is no timestamp to begin at'
);

select * from finish();
rollback;
