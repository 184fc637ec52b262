-- book_hold(): make a session of a hold, and take one credit for it.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    book_hold(
        p_hold_id uuid, p_session_type varchar default 'video', p_notes text default '',
        p_title text default 'Therapy Session', p_idempotency_key text default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('book_hold', 'authenticated', 'service_role');

-- The client's hold
select h.user_id from public.hold_slot(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00') as h;
create function pg_temp.hold() returns uuid language plpgsql stable security definer as $function$
begin
    return (select h.id from bookingdb.holds as h);
end;
$function$;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select b.id = pg_temp.hold(), b.title::text, b.start_time, b.end_time, b.status::text, b.credits_balance
        from public.book_hold(pg_temp.hold()) as b
    $$,
    $$ values (true, 'Therapy Session', pg_temp.at('10:00'), pg_temp.at('11:00'), 'scheduled', 4) $$,
    'the session has the hold''s id and its time'
);
reset role;
select results_eq(
    'select s.id, s.user_id, s.therapist_id, s.status::text, s.credits_charged from public.sessions as s',
    $$ values (pg_temp.hold(), pg_temp.client(), pg_temp.therapist(), 'scheduled', 1) $$,
    'the session is written'
);
select results_eq(
    'select c.id, c.kind, c.expires_at from bookingdb.calendar as c',
    $$ values (pg_temp.hold(), 'session', null::timestamptz) $$,
    'the row of the hold in the calendar becomes that of the session'
);
select results_eq(
    $$ select l.amount, l.session_id from bookingdb.ledger as l where l.kind = 'debit' $$,
    'values (-1, pg_temp.hold())',
    'the ledger has one debit'
);
select is(
    pg_temp.events(pg_temp.hold()), array['hold.placed', 'session.created', 'hold.booked'],
    'events tell of the session and of the hold'
);

-- Refusal
select results_eq(
    'select b.id, b.status::text from public.book_hold(pg_temp.hold()) as b',
    $$ values (pg_temp.hold(), 'scheduled') $$,
    'a second call returns the session'
);
select public.cancel_session(pg_temp.hold());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.book_hold(pg_temp.hold())') as e $$,
    $$
        select
            'PT410', 'Hold expired', jsonb_build_object(
                'code', 'hold_expired', 'hold_id', h.id, 'reason', 'booked', 'expires_at', pg_temp.iso(h.expires_at)
            )
        from bookingdb.holds as h
    $$,
    'a hold becomes a session once'
);

select * from finish();
rollback;
