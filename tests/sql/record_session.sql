-- record_session(): record a session that took place without having been booked.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    record_session(
        p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
        p_duration_minutes integer default 60, p_session_type varchar default 'video', p_notes text default '',
        p_title text default 'Therapy Session', p_time_zone text default null,
        p_status text default 'completed', p_idempotency_key text default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('record_session', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select r.status::text, r.scheduled_date, r.credits_balance
        from public.record_session(
            pg_temp.client(), pg_temp.therapist(), current_date - 7, '10:00', p_title => 'walk-in'
        ) as r
    $$,
    'values (''completed'', current_date - 7, 4)',
    'a trusted caller records last week''s session'
);
reset role;
select results_eq(
    $$ select s.overridden_rules, s.credits_charged, s.hours_overridden from public.sessions as s $$,
    $$ values (array['in_past'], 1, false) $$,
    'the session says that it was recorded in hindsight'
);
select results_eq(
    'select a.action, a.new_status, a.changes, a.actor from public.booking_audit_log as a',
    $$ values ('created', 'completed', jsonb '{"overridden_rules": {"new": ["in_past"]}}', 'service_role') $$,
    'so does the audit log, with the caller'
);
select is_empty('select c.id from bookingdb.calendar as c', 'it takes no time any more');
select results_eq(
    $$ select l.amount, l.session_id from bookingdb.ledger as l where l.kind = 'debit' $$,
    $$ values (-1, pg_temp.session('walk-in')) $$,
    'the ledger has one debit'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of(
            'select public.record_session(pg_temp.other_client(), pg_temp.therapist(), current_date - 7, ''10:30'')'
        ) as e
    $$,
    $$ values ('PT409', 'Booking conflict: time slot unavailable', 'booking_conflict') $$,
    'the therapist was in one session at a time'
);

select * from finish();
rollback;
