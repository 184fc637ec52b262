-- create_session_with_credit_deduction(): book a session, and take one credit for it.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    create_session_with_credit_deduction(
        p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
        p_duration_minutes integer default 60, p_session_type varchar default 'video', p_notes text default '',
        p_title text default 'Therapy Session', p_time_zone text default null, p_idempotency_key text default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by(
    'create_session_with_credit_deduction', 'authenticated', 'service_role'
);

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select b.title::text, b.start_time, b.end_time, b.time_zone, b.status::text, b.credits_balance
        from public.create_session_with_credit_deduction(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00', p_notes => 'about sleep'
        ) as b
    $$,
    $$ values ('Therapy Session', pg_temp.at('10:00'), pg_temp.at('11:00'), 'UTC', 'scheduled', 4) $$,
    'the client books an hour in the zone of the therapist, and is told what is left'
);
reset role;
select results_eq(
    'select s.user_id, s.therapist_id, s.description, s.status::text, s.credits_charged from public.sessions as s',
    $$ values (pg_temp.client(), pg_temp.therapist(), 'about sleep', 'scheduled', 1) $$,
    'the session is written'
);
select results_eq(
    'select c.kind, c.therapist_id, c.client_id, c.period, c.blocked from bookingdb.calendar as c',
    $$
        select 'session', s.therapist_id, s.user_id, p.period, p.period
        from public.sessions as s cross join tstzrange(s.start_time, s.end_time) as p (period)
    $$,
    'it takes the time of both in the calendar'
);
select results_eq(
    $$ select l.amount, l.balance_after, l.actor from bookingdb.ledger as l where l.kind = 'debit' $$,
    'values (-1, 4, pg_temp.client()::text)',
    'the ledger has one debit'
);
select results_eq(
    'select a.action, a.new_status, a.actor from public.booking_audit_log as a',
    $$ values ('created', 'scheduled', pg_temp.client()::text) $$,
    'the audit log says who booked'
);
select is(
    (select pg_temp.events(s.id) from public.sessions as s), array['session.created'], 'one event tells of it'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.create_session_with_credit_deduction(
                pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday(), ''10:30''
            )'
        ) as e
    $$,
    $$
        values (
            'PT409', 'Booking conflict: time slot unavailable', jsonb_build_object(
                'code', 'booking_conflict', 'rule', 'session', 'time_zone', 'UTC', 'therapist_id', pg_temp.therapist(),
                'start_time', pg_temp.iso(pg_temp.at('10:30')), 'end_time', pg_temp.iso(pg_temp.at('11:30')),
                'next_free', pg_temp.iso(pg_temp.at('11:00'))
            )
        )
    $$,
    'a time that is taken is refused, with the rule, and what is free next'
);

select * from finish();
rollback;
