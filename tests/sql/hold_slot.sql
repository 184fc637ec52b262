-- hold_slot(): keep a time for a client against everybody else for some minutes, at no cost.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    hold_slot(
        p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
        p_duration_minutes integer default 60, p_ttl interval default null, p_time_zone text default null,
        p_idempotency_key text default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, start_time timestamptz, end_time timestamptz, time_zone text,
        expires_at timestamptz
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('hold_slot', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select h.user_id, h.therapist_id, h.start_time, h.end_time, h.time_zone, h.expires_at - now() < '6 minutes'
        from public.hold_slot(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00') as h
    $$,
    $$ values (pg_temp.client(), pg_temp.therapist(), pg_temp.at('10:00'), pg_temp.at('11:00'), 'UTC', true) $$,
    'the client holds an hour for the five minutes of the policy'
);
reset role;
select results_eq(
    'select h.user_id, h.start_time, h.duration_minutes, h.released_at from bookingdb.holds as h',
    $$ values (pg_temp.client(), pg_temp.at('10:00'), 60, null::timestamptz) $$,
    'the hold is written'
);
select results_eq(
    'select c.id, c.kind, c.therapist_id, c.client_id, c.period, c.expires_at from bookingdb.calendar as c',
    $$
        select h.id, 'hold', h.therapist_id, h.user_id, tstzrange(h.start_time, h.end_time), h.expires_at
        from bookingdb.holds as h
    $$,
    'it takes the time of both in the calendar, until it expires'
);
select results_eq('select l.kind from bookingdb.ledger as l', array['grant'], 'it takes no credit');
select is((select pg_temp.events(h.id) from bookingdb.holds as h), array['hold.placed'], 'one event tells of it');

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.hold_slot(pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday(), ''10:30'')'
        ) as e
    $$,
    $$
        values (
            'PT409', 'Booking conflict: time slot unavailable', jsonb_build_object(
                'code', 'booking_conflict', 'rule', 'hold', 'time_zone', 'UTC', 'therapist_id', pg_temp.therapist(),
                'start_time', pg_temp.iso(pg_temp.at('10:30')), 'end_time', pg_temp.iso(pg_temp.at('11:30')),
                'next_free', pg_temp.iso(pg_temp.at('11:00'))
            )
        )
    $$,
    'nobody else holds what is held'
);

select * from finish();
rollback;
