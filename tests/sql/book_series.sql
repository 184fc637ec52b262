-- book_series(): book several sessions at the same local time, all of them or none.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    book_series(
        p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time, p_occurrences integer,
        p_every interval default '7 days', p_duration_minutes integer default 60,
        p_session_type varchar default 'video', p_notes text default '', p_title text default 'Therapy Session',
        p_time_zone text default null, p_idempotency_key text default null, p_on_conflict text default 'fail'
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        occurrence integer, outcome text, error jsonb
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('book_series', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select b.start_time, b.status::text, b.credits_balance
        from public.book_series(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00', 3) as b
    $$,
    $$
        values
        (pg_temp.at('10:00'), 'scheduled', 4),
        (pg_temp.at('10:00', 7), 'scheduled', 3),
        (pg_temp.at('10:00', 14), 'scheduled', 2)
    $$,
    'the client books three weeks, and is told what is left after each'
);
reset role;
select results_eq(
    'select count(*), count(distinct s.series_id), sum(s.credits_charged) from public.sessions as s',
    'values (bigint ''3'', bigint ''1'', bigint ''3'')',
    'three sessions of one series are written'
);
select set_eq(
    'select c.id, c.kind, c.period from bookingdb.calendar as c',
    $$ select s.id, 'session', tstzrange(s.start_time, s.end_time) from public.sessions as s $$,
    'each takes its time in the calendar'
);
select results_eq(
    $$ select l.amount, l.balance_after from bookingdb.ledger as l where l.kind = 'debit' order by l.id $$,
    'values (-1, 4), (-1, 3), (-1, 2)',
    'each has its debit'
);
select results_eq(
    'select pg_temp.events(s.id) from public.sessions as s',
    $$ select array['session.created'] from generate_series(1, 3) $$,
    'and its event'
);

select results_eq(
    $$
        select b.start_time, b.occurrence, b.outcome, b.credits_balance, b.error ->> 'code'
        from public.book_series(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 14, '10:30', 2, p_on_conflict => 'skip'
        ) as b
    $$,
    $$
        values
        (pg_temp.at('10:30', 14), 1, 'skipped', 2, 'booking_conflict'),
        (pg_temp.at('10:30', 21), 2, 'booked', 1, null)
    $$,
    'a time that is taken can be left out, and is named'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.book_series(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), ''12:00'', 3)'
        ) as e
    $$,
    $$
        values (
            'PT402', 'Insufficient credits: purchase credits first', jsonb_build_object(
                'code', 'insufficient_credits', 'credits_balance', 0,
                'occurrence', 2, 'session_date', pg_temp.monday() + 7
            )
        )
    $$,
    'without a credit for each of them none is booked; the error names the first that failed'
);

select * from finish();
rollback;
