-- book_session_with_override(): book a session outside of the therapist's hours.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    book_session_with_override(
        p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
        p_duration_minutes integer default 60, p_session_type varchar default 'video', p_notes text default '',
        p_title text default 'Therapy Session', p_time_zone text default null,
        p_override_hours boolean default true, p_idempotency_key text default null,
        p_override text[] default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('book_session_with_override', 'authenticated', 'service_role');

-- The therapist is there on Mondays from nine to twelve
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select b.start_time, b.status::text, b.credits_balance
        from public.book_session_with_override(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '20:00', p_title => 'evening'
        ) as b
    $$,
    $$ values (pg_temp.at('20:00'), 'scheduled', 4) $$,
    'a trusted caller books eight o''clock in the evening'
);
reset role;
select results_eq(
    $$ select s.hours_overridden, s.credits_charged from public.sessions as s where s.title = 'evening' $$,
    'values (true, 1)',
    'the session says that hours were overridden'
);
select results_eq(
    'select a.action, a.changes, a.actor from public.booking_audit_log as a',
    $$
        values (
            'created', jsonb '{"hours_overridden": {"new": true}, "overridden_rules": {"new": ["hours"]}}',
            'service_role'
        )
    $$,
    'so does the audit log, with the caller'
);
select results_eq(
    'select c.id, c.kind from bookingdb.calendar as c',
    $$ values (pg_temp.session('evening'), 'session') $$,
    'it takes its time in the calendar'
);
select results_eq(
    $$ select l.amount, l.session_id from bookingdb.ledger as l where l.kind = 'debit' $$,
    $$ values (-1, pg_temp.session('evening')) $$,
    'the ledger has one debit'
);
select is(pg_temp.events(pg_temp.session('evening')), array['session.created'], 'one event tells of it');

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'rule', e.detail ->> 'next_free'
        from pg_temp.error_of(
            'select public.book_session_with_override(
                pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday(), ''20:30''
            )'
        ) as e
    $$,
    $$
        values (
            'PT409', 'Booking conflict: time slot unavailable', 'session', pg_temp.iso(pg_temp.at('21:00'))
        )
    $$,
    'only hours are overridden: a time that is taken is refused; next free is without regard to hours'
);

select * from finish();
rollback;
