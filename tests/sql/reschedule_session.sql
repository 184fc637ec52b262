-- reschedule_session(): move a session to another time, with its id, its credit and its free window.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    reschedule_session(
        p_session_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer default null,
        p_time_zone text default null, p_idempotency_key text default null, p_override text[] default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('reschedule_session', 'authenticated', 'service_role');

-- Given
select pg_temp.book('moved', '10:00');
select pg_temp.book('in the way', '16:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select m.id = pg_temp.session('moved'), m.start_time, m.end_time, m.status::text, m.credits_balance
        from public.reschedule_session(pg_temp.session('moved'), pg_temp.monday() + 1, '12:00', 90) as m
    $$,
    $$ values (true, pg_temp.at('12:00', 1), pg_temp.at('13:30', 1), 'scheduled', 3) $$,
    'the client moves the session to the next day, and makes it longer'
);
reset role;
select results_eq(
    $$
        select s.start_time, s.duration_minutes, s.free_cancellation_until, s.credits_charged
        from public.sessions as s where s.title = 'moved'
    $$,
    $$ values (pg_temp.at('12:00', 1), 90, pg_temp.at('12:00'), 1) $$,
    'the time in which cancelling is free moves along'
);
select results_eq(
    $$ select c.period from bookingdb.calendar as c where c.id = pg_temp.session('moved') $$,
    $$ values (tstzrange(pg_temp.at('12:00', 1), pg_temp.at('13:30', 1))) $$,
    'so does its row of the calendar'
);
select results_eq(
    $$ select l.kind from bookingdb.ledger as l where l.session_id = pg_temp.session('moved') $$,
    array['debit'],
    'the credit is carried over'
);
select is(
    pg_temp.events(pg_temp.session('moved')), array['session.created', 'session.updated'], 'one event tells of it'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.reschedule_session(pg_temp.session(''moved''), pg_temp.monday(), ''15:00'')'
        ) as e
    $$,
    $$
        values (
            'PT409', 'Booking conflict: time slot unavailable', jsonb_build_object(
                'code', 'booking_conflict', 'rule', 'session', 'time_zone', 'UTC', 'therapist_id', pg_temp.therapist(),
                'start_time', pg_temp.iso(pg_temp.at('15:00')), 'end_time', pg_temp.iso(pg_temp.at('16:30')),
                'next_free', pg_temp.iso(pg_temp.at('17:00'))
            )
        )
    $$,
    'a time that is taken is refused, with the rule, and what is free next'
);

select * from finish();
rollback;
