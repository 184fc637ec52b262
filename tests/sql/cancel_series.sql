-- cancel_series(): cancel a session and the later ones of its series, each by its own terms.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    cancel_series(
        p_session_id uuid, p_reason text default null, p_refund boolean default null,
        p_idempotency_key text default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('cancel_series', 'authenticated', 'service_role');

-- Given
create function pg_temp.second() returns uuid language sql stable
return (
    select s.id from public.sessions as s
    where s.scheduled_date = pg_temp.monday() + 7
);
select b.id from public.book_series(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00', 3) as b;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select c.start_time, c.status::text, c.refunded, c.credits_balance
        from public.cancel_series(pg_temp.second(), 'moving away') as c
    $$,
    $$
        values
        (pg_temp.at('10:00', 7), 'cancelled', true, 4),
        (pg_temp.at('10:00', 14), 'cancelled', true, 4)
    $$,
    'the client cancels from the second week on, and gets the credits back'
);
reset role;
select results_eq(
    'select s.status::text, s.cancellation_reason from public.sessions as s order by s.start_time',
    $$ values ('scheduled', null), ('cancelled', 'moving away'), ('cancelled', 'moving away') $$,
    'the session before it stays'
);
select results_eq(
    'select c.period from bookingdb.calendar as c',
    $$ values (tstzrange(pg_temp.at('10:00'), pg_temp.at('11:00'))) $$,
    'the times are free at once'
);
select is(
    pg_temp.events(pg_temp.second()), array['session.created', 'session.status_changed'],
    'an event tells of each session'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.cancel_series(pg_temp.second())') as e $$,
    $$
        values (
            'PT409', 'Session status does not allow this', jsonb_build_object(
                'code', 'invalid_transition', 'session_id', pg_temp.second(),
                'status', 'cancelled', 'asked', 'cancelled'
            )
        )
    $$,
    'where none is open any more, nothing can be cancelled'
);

select * from finish();
rollback;
