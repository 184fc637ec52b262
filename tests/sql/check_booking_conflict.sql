-- check_booking_conflict(): whether a therapist is busy; a look that promises nothing.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    check_booking_conflict(
        p_therapist_id uuid, p_session_date date, p_start_time time, p_end_time time, p_time_zone text default null,
        p_exclude_session_id uuid default null
    ) returns boolean
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('check_booking_conflict', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$
        select t.period, public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday(), t.starts, t.ends)
        from (
            values
            ('before', time '09:00', time '10:00'), ('over it', '10:30', '11:30'), ('after', '11:00', '12:00')
        ) as t (period, starts, ends)
    $$,
    $$ values ('before', false), ('over it', true), ('after', false) $$,
    'anybody who is logged in sees whether a time is taken'
);
reset role;
select is(
    public.check_booking_conflict(
        pg_temp.therapist(), pg_temp.monday(), '10:30', '11:30', p_exclude_session_id => pg_temp.session('booked')
    ),
    false,
    'a session that is to be moved is not in its own way'
);
select is(
    public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday() - 1, '22:00', '10:15'), true,
    'an end at or before the start is on the next day'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.check_booking_conflict(pg_temp.nobody(), pg_temp.monday(), ''10:00'', ''11:00'')'
        ) as e
    $$,
    $$
        values (
            'PT404', 'Therapist not found', jsonb_build_object(
                'code', 'therapist_not_found', 'therapist_id', pg_temp.nobody()
            )
        )
    $$,
    'nothing is said of a therapist that there is not'
);

select * from finish();
rollback;
