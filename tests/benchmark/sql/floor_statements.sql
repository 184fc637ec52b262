-- The rows of floor.sql, a statement for each. No statement can hand a value to the next: all make the session's id out
-- of the number, and as scattered in the index as a random one; the ledger reads the balance that was left.
insert into bookingdb_floor.calendar (id, kind, therapist_id, client_id, period, blocked)
select g.id, 'session', g.therapist_id, g.user_id, g.period, g.period
from (
    select
        md5('session ' || :number)::uuid as id,
        md5('client ' || :client)::uuid as user_id,
        md5('therapist ' || :therapist)::uuid as therapist_id,
        tstzrange(t.start_time, t.start_time + interval '45 minutes') as period
    from (
        select (date '{base}' + :day::integer + make_time(:hour::integer, 0, 0)) at time zone 'UTC' as start_time
    ) as t
) as g;

update bookingdb_floor.user_credits as c
set credits_balance = c.credits_balance - 1, credits_used = c.credits_used + 1, updated_at = now()
where c.id = md5('lot ' || :client)::uuid
returning c.credits_balance;

insert into bookingdb_floor.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
select c.user_id, c.id, md5('session ' || :number)::uuid, 'debit', -1, c.credits_balance, 'postgres'
from bookingdb_floor.user_credits as c
where c.id = md5('lot ' || :client)::uuid;

insert into bookingdb_floor.sessions (
    id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until, hours_overridden
)
select
    md5('session ' || :number)::uuid,
    md5('client ' || :client)::uuid,
    md5('therapist ' || :therapist)::uuid,
    'Therapy Session', '', date '{base}' + :day::integer, make_time(:hour::integer, 0, 0), t.start_time,
    t.start_time + interval '45 minutes', 45, 'video', 'scheduled', 'UTC', 1, t.start_time - interval '24 hours',
    false
from (
    select (date '{base}' + :day::integer + make_time(:hour::integer, 0, 0)) at time zone 'UTC' as start_time
) as t
returning id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status, created_at, time_zone;

insert into bookingdb_floor.booking_audit_log (session_id, user_id, action, new_status, changes, actor)
values (
    md5('session ' || :number)::uuid,
    md5('client ' || :client)::uuid,
    'created', 'scheduled', '{}', 'postgres'
);

insert into bookingdb_floor.outbox (event, subject_id, payload)
select
    'session.created',
    md5('session ' || :number)::uuid,
    jsonb_build_object(
        'session_id', md5('session ' || :number)::uuid,
        'user_id', md5('client ' || :client)::uuid,
        'therapist_id', md5('therapist ' || :therapist)::uuid,
        'start_time', to_char(t.start_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24.MI.SS"Z"'),
        'end_time',
        to_char((t.start_time + interval '45 minutes') at time zone 'UTC', 'YYYY-MM-DD"T"HH24.MI.SS"Z"'),
        'old_status', null,
        'new_status', 'scheduled'
    )
from (
    select (date '{base}' + :day::integer + make_time(:hour::integer, 0, 0)) at time zone 'UTC' as start_time
) as t
