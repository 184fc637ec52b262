with given as materialized (
    select
        gen_random_uuid() as id,
        md5('client ' || :client)::uuid as user_id,
        md5('therapist ' || :therapist)::uuid as therapist_id,
        date '{base}' + :day::integer as scheduled_date,
        make_time(:hour::integer, 0, 0) as scheduled_time,
        (date '{base}' + :day::integer + make_time(:hour::integer, 0, 0)) at time zone 'UTC' as start_time{locked}
),

placed as (
    insert into bookingdb_floor.calendar (id, kind, therapist_id, client_id, period, blocked)
    select g.id, 'session', g.therapist_id, g.user_id, tstzrange(g.start_time, g.start_time + interval '45 minutes'),
        tstzrange(g.start_time, g.start_time + interval '45 minutes')
    from given as g
),

paid as (
    update bookingdb_floor.user_credits as c
    set credits_balance = c.credits_balance - 1, credits_used = c.credits_used + 1, updated_at = now()
    where c.id = md5('lot ' || :client)::uuid
    returning c.id, c.credits_balance
),

posted as (
    insert into bookingdb_floor.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
    select g.user_id, p.id, g.id, 'debit', -1, p.credits_balance, 'postgres'
    from given as g
    cross join paid as p
),

written as (
    insert into bookingdb_floor.sessions (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until, hours_overridden
    )
    select g.id, g.user_id, g.therapist_id, 'Therapy Session', '', g.scheduled_date, g.scheduled_time, g.start_time,
        g.start_time + interval '45 minutes', 45, 'video', 'scheduled', 'UTC', 1, g.start_time - interval '24 hours',
        false
    from given as g
    returning *
),

audited as (
    insert into bookingdb_floor.booking_audit_log (session_id, user_id, action, new_status, changes, actor)
    select g.id, g.user_id, 'created', 'scheduled', '{}', 'postgres'
    from given as g
),

{remembered}told as (
    insert into bookingdb_floor.outbox (event, subject_id, payload)
    select
        'session.created',
        g.id,
        jsonb_build_object(
            'session_id', g.id,
            'user_id', g.user_id,
            'therapist_id', g.therapist_id,
            'start_time', to_char(g.start_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24.MI.SS"Z"'),
            'end_time',
            to_char((g.start_time + interval '45 minutes') at time zone 'UTC', 'YYYY-MM-DD"T"HH24.MI.SS"Z"'),
            'old_status', null,
            'new_status', 'scheduled'
        )
    from given as g
)

select w.id, w.user_id, w.therapist_id, w.title, w.description, w.scheduled_date, w.scheduled_time, w.start_time,
    w.end_time, w.duration_minutes, w.session_type, w.status, w.created_at, w.time_zone, p.credits_balance
from written as w
cross join paid as p
