-- cancel_session(): cancel a session; its time is free, and its credit comes back when it is in time.
begin;
\ir include/setup.sql
select plan(10);

select pg_temp.is_declared($$
    cancel_session(
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
select pg_temp.is_executed_by('cancel_session', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select c.status::text, c.refunded, c.credits_balance, c.free_cancellation_until
        from public.cancel_session(pg_temp.session('booked'), 'I am ill') as c
    $$,
    $$ values ('cancelled', true, 5, pg_temp.at('10:00', -1)) $$,
    'the client cancels more than a day before the start, and gets the credit back'
);
reset role;
select results_eq(
    'select s.status::text, s.cancellation_reason, s.start_time, s.credits_charged from public.sessions as s',
    $$ values ('cancelled', 'I am ill', pg_temp.at('10:00'), 1) $$,
    'status and reason are written; the rest of the session stays'
);
select is_empty('select c.id from bookingdb.calendar as c', 'the time is free at once');
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, c.payment_reference
        from bookingdb.ledger as l inner join public.user_credits as c on l.lot_id = c.id
        where l.session_id = pg_temp.session('booked') order by l.id
    $$,
    $$ values ('debit', -1, 4, 'a payment'), ('refund', 1, 5, 'a payment') $$,
    'the refund goes into the lot that was debited'
);
select results_eq(
    'select a.old_status, a.new_status, a.actor from public.booking_audit_log as a order by a.id desc limit 1',
    $$ values ('scheduled', 'cancelled', pg_temp.client()::text) $$,
    'the audit log says who cancelled'
);
select is(
    pg_temp.events(pg_temp.session('booked')), array['session.created', 'session.status_changed'],
    'an event tells of the session'
);
select is(
    (select pg_temp.events(c.id) from public.user_credits as c), array['credits.granted', 'credits.refunded'],
    'and one of the credit'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.cancel_session(pg_temp.session(''booked''))') as e $$,
    $$
        values (
            'PT409', 'Session status does not allow this', jsonb_build_object(
                'code', 'invalid_transition', 'session_id', pg_temp.session('booked'),
                'status', 'cancelled', 'asked', 'cancelled'
            )
        )
    $$,
    'a session is cancelled once'
);

select * from finish();
rollback;
