-- start_session(): say that a session has begun, from an hour before its start.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    start_session(p_session_id uuid, p_idempotency_key text default null)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('start_session', 'authenticated', 'service_role');

-- A session that began five minutes ago
select pg_temp.book('booked', '10:00');
update public.sessions as s set start_time = now() - interval '5 minutes', end_time = now() + interval '55 minutes'
where s.title = 'booked';

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select c.status::text, c.duration_minutes, c.credits_balance, c.refunded
        from public.start_session(pg_temp.session('booked')) as c
    $$,
    $$ values ('in_progress', 60, null::integer, false) $$,
    'the therapist gets the session as it stands, without the client''s balance'
);
reset role;
select results_eq(
    'select s.status::text, s.credits_charged from public.sessions as s',
    $$ values ('in_progress', 1) $$,
    'the status is written'
);
select isnt_empty(
    $$ select c.id from bookingdb.calendar as c where c.id = pg_temp.session('booked') $$,
    'the session keeps its time'
);
select results_eq(
    $$ select l.kind from bookingdb.ledger as l where l.session_id = pg_temp.session('booked') $$,
    array['debit'],
    'credits stay as they are'
);
select results_eq(
    'select a.old_status, a.new_status, a.actor from public.booking_audit_log as a order by a.id desc limit 1',
    $$ values ('scheduled', 'in_progress', pg_temp.therapist()::text) $$,
    'the audit log says who did it'
);
select is(
    pg_temp.events(pg_temp.session('booked')), array['session.created', 'session.updated', 'session.status_changed'],
    'an event tells of it'
);

-- Refusal
select pg_temp.book('to come', '14:00');
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.start_session(pg_temp.session(''to come''))') as e $$,
    $$
        values (
            'PT409', 'Session status does not allow this', jsonb_build_object(
                'code', 'invalid_transition', 'session_id', pg_temp.session('to come'),
                'status', 'scheduled', 'asked', 'in_progress', 'start_time', pg_temp.iso(pg_temp.at('14:00'))
            )
        )
    $$,
    'more than an hour before its start no session begins'
);

select * from finish();
rollback;
