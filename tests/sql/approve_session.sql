-- approve_session(): let a session take place that the application asked for, and take its credit.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    approve_session(p_session_id uuid, p_idempotency_key text default null)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('approve_session', 'authenticated', 'service_role');

-- An application asks for a session by writing it
insert into public.sessions (user_id, therapist_id, title, status, start_time, end_time, duration_minutes)
values (
    pg_temp.client(), pg_temp.therapist(), 'asked for', 'pending_approval',
    pg_temp.at('10:00'), pg_temp.at('11:00'), 60
);

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select a.status::text, a.start_time, a.credits_balance, a.refunded
        from public.approve_session(pg_temp.session('asked for')) as a
    $$,
    $$ values ('scheduled', pg_temp.at('10:00'), null::integer, false) $$,
    'the therapist approves, and is not told the client''s balance'
);
reset role;
select results_eq(
    'select s.status::text, s.credits_charged, s.free_cancellation_until from public.sessions as s',
    $$ values ('scheduled', 1, pg_temp.at('10:00', -1)) $$,
    'the session is charged, and gets the cancellation terms of today''s policy'
);
select results_eq(
    'select c.kind, c.period from bookingdb.calendar as c',
    $$ values ('session', tstzrange(pg_temp.at('10:00'), pg_temp.at('11:00'))) $$,
    'it keeps the time that it had since it was asked for'
);
select results_eq(
    $$ select l.amount, l.balance_after, l.actor from bookingdb.ledger as l where l.kind = 'debit' $$,
    'values (-1, 4, pg_temp.therapist()::text)',
    'the ledger has one debit'
);
select results_eq(
    'select a.old_status, a.new_status, a.actor from public.booking_audit_log as a order by a.id desc limit 1',
    $$ values ('pending_approval', 'scheduled', pg_temp.therapist()::text) $$,
    'the audit log says who approved'
);
select is(
    pg_temp.events(pg_temp.session('asked for')), array['session.created', 'session.status_changed'],
    'an event tells of it'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.approve_session(pg_temp.session(''asked for''))') as e $$,
    $$
        values (
            'PT409', 'Session status does not allow this', jsonb_build_object(
                'code', 'invalid_transition', 'session_id', pg_temp.session('asked for'),
                'status', 'scheduled', 'asked', 'scheduled'
            )
        )
    $$,
    'only a session that waits for approval is approved'
);

select * from finish();
rollback;
