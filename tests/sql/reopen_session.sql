-- reopen_session(): undo a cancellation, a no-show or a completion that was a mistake.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    reopen_session(p_session_id uuid, p_reason text default null, p_idempotency_key text default null)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('reopen_session', 'authenticated', 'service_role');

-- A session that was cancelled, with its credit returned
select pg_temp.book('booked', '10:00');
select public.cancel_session(pg_temp.session('booked'), 'a mistake');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select c.status::text, c.refunded, c.credits_balance, c.free_cancellation_until
        from public.reopen_session(pg_temp.session('booked'), 'the wrong one') as c
    $$,
    $$ values ('scheduled', false, 4, pg_temp.at('10:00', -1)) $$,
    'the session takes place again and is paid again; the terms of cancelling stay'
);
reset role;
select results_eq(
    'select s.status::text, s.cancellation_reason, s.change_reason, s.credits_charged from public.sessions as s',
    $$ values ('scheduled', null::text, 'the wrong one', 1) $$,
    'the reason is kept with the session'
);
select results_eq(
    'select c.kind, c.period from bookingdb.calendar as c',
    $$ values ('session', tstzrange(pg_temp.at('10:00'), pg_temp.at('11:00'))) $$,
    'it has its time again'
);
select results_eq(
    $$
        select l.kind, l.charge, l.balance_after
        from bookingdb.ledger as l
        where l.session_id = pg_temp.session('booked')
        order by l.id
    $$,
    $$ values ('debit', 1, 4), ('refund', 1, 5), ('debit', 2, 4) $$,
    'the credit is taken again, as the next charge'
);
select results_eq(
    $$
        select a.old_status, a.new_status, a.changes -> 'change_reason', a.actor
        from public.booking_audit_log as a
        order by a.id desc
        limit 1
    $$,
    $$ values ('cancelled', 'scheduled', jsonb '{}', 'service_role') $$,
    'the audit log says who did it, and keeps no words'
);
select is(
    pg_temp.events(pg_temp.session('booked')),
    array['session.created', 'session.status_changed', 'session.status_changed'],
    'an event tells of it'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.reopen_session(pg_temp.session(''booked''))') as e $$,
    $$
        values (
            'PT409', 'Session status does not allow this', jsonb_build_object(
                'code', 'invalid_transition', 'session_id', pg_temp.session('booked'),
                'status', 'scheduled', 'asked', 'scheduled'
            )
        )
    $$,
    'what takes place cannot be reopened'
);

select * from finish();
rollback;
