-- transfer_session(): give a session to another therapist at the same time.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    transfer_session(
        p_session_id uuid, p_therapist_id uuid, p_reason text default null, p_idempotency_key text default null,
        p_override text[] default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('transfer_session', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select t.therapist_id, t.start_time, t.status::text, t.credits_balance
        from public.transfer_session(pg_temp.session('booked'), pg_temp.other_therapist(), 'ill') as t
    $$,
    $$ values (pg_temp.other_therapist(), pg_temp.at('10:00'), 'scheduled', 4) $$,
    'a trusted caller gives the session to another therapist; time, status and credit stay'
);
reset role;
select results_eq(
    'select c.therapist_id, c.client_id, lower(c.period) from bookingdb.calendar as c',
    $$ values (pg_temp.other_therapist(), pg_temp.client(), pg_temp.at('10:00')) $$,
    'the time of the one is free, the time of the other is taken'
);
select results_eq(
    'select s.change_reason from public.sessions as s',
    array['ill'],
    'the reason is kept with the session'
);
select results_eq(
    $$
        select o.payload ->> 'old_therapist_id', o.payload ->> 'therapist_id'
        from bookingdb.outbox as o
        where o.event = 'session.updated'
    $$,
    $$ values (pg_temp.therapist()::text, pg_temp.other_therapist()::text) $$,
    'the event names both'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'code'
        from pg_temp.error_of(
            'select public.transfer_session(pg_temp.session(''booked''), pg_temp.nobody())'
        ) as e
    $$,
    $$ values ('PT404', 'therapist_not_found') $$,
    'nobody takes over who cannot be booked'
);

select * from finish();
rollback;
