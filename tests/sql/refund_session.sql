-- refund_session(): give back the credit of a session that is over.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    refund_session(p_session_id uuid, p_reason text, p_idempotency_key text default null)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('refund_session', 'authenticated', 'service_role');

-- A session that the client missed
select pg_temp.book('missed', '10:00');
update public.sessions as s set start_time = now() - interval '90 minutes', end_time = now() - interval '30 minutes'
where s.title = 'missed';
select m.status from public.mark_no_show(pg_temp.session('missed')) as m;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select c.status::text, c.credits_balance, c.refunded
        from public.refund_session(pg_temp.session('missed'), 'a late train') as c
    $$,
    $$ values ('no_show', 5, true) $$,
    'the session stays as it is, and the client has the credit back'
);
reset role;
select results_eq(
    $$
        select l.kind, l.amount, l.reason, l.actor
        from bookingdb.ledger as l
        where l.session_id = pg_temp.session('missed')
        order by l.id desc
        limit 1
    $$,
    $$ values ('goodwill', 1, 'a late train', 'service_role') $$,
    'the ledger says who gave it back, and why'
);
select results_eq(
    $$
        select e.event
        from bookingdb.outbox as e
        where e.payload ->> 'session_id' = pg_temp.session('missed')::text and e.event like 'credits.%'
    $$,
    array['credits.refunded'],
    'an event tells of it'
);

-- Refusals
select pg_temp.act_as('service_role');
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.refund_session(pg_temp.session(''missed''), ''again'')') as e $$,
    $$
        values (
            'PT409', 'Session status does not allow this', jsonb_build_object(
                'code', 'invalid_transition', 'session_id', pg_temp.session('missed'),
                'status', 'no_show', 'asked', 'refunded', 'reason', 'refunded'
            )
        )
    $$,
    'a credit comes back once'
);
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.refund_session(pg_temp.session(''missed''), '' '')') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter', jsonb_build_object(
                'code', 'invalid_parameter', 'parameter', 'p_reason', 'minimum_length', 1, 'maximum_length', 1000
            )
        )
    $$,
    'it has a reason'
);
reset role;
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.refund_session(pg_temp.session(''missed''), ''kind'')') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
