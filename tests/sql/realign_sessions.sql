-- realign_sessions(): move sessions to their agreed local time where their zone has got other rules.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    realign_sessions(p_therapist_id uuid default null, p_dry_run boolean default false)
    returns table (
        session_id uuid, therapist_id uuid, user_id uuid, scheduled_date date, scheduled_time time, time_zone text,
        old_start_time timestamptz, new_start_time timestamptz, outcome text, reason text
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('realign_sessions', 'authenticated', 'service_role');

-- When the session was booked, its zone was an hour ahead of what it is now: 11:00 was at 10:00 UTC
select pg_temp.book('booked', '10:00');
update public.sessions as s set free_cancellation_until = s.start_time - interval '2 hours';
set session_replication_role = replica;
update public.sessions as s set scheduled_time = '11:00';
reset session_replication_role;
insert into bookingdb.time_zone_rules (time_zone, starts_at, utc_offsets, known_until, past)
values ('UTC', array[now()], array[interval '1 hour'], now() + interval '1 year', 0);
insert into bookingdb.time_zone_rules (time_zone, starts_at, utc_offsets, known_until, past)
select
    r.time_zone,
    r.starts_at,
    r.utc_offsets,
    r.known_until,
    r.past
from bookingdb.time_zone_rules as r
where r.time_zone = 'UTC' and r.utc_offsets[1] = interval '0';

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select r.session_id, r.scheduled_time, r.time_zone, r.old_start_time, r.new_start_time, r.outcome, r.reason
        from public.realign_sessions(pg_temp.therapist()) as r
    $$,
    $$
        values (
            pg_temp.session('booked'), time '11:00', 'UTC', pg_temp.at('10:00'), pg_temp.at('11:00'), 'moved',
            null::text
        )
    $$,
    'a trusted caller is told what moved'
);
select is_empty('select r.* from public.realign_sessions() as r', 'done again it finds nothing');
reset role;
select results_eq(
    'select s.start_time, s.end_time, s.scheduled_time, s.free_cancellation_until from public.sessions as s',
    $$ values (pg_temp.at('11:00'), pg_temp.at('12:00'), time '11:00', pg_temp.at('09:00')) $$,
    'the session starts at its local time again, and its free window has moved along'
);
select results_eq(
    'select c.kind, c.period from bookingdb.calendar as c',
    $$ values ('session', tstzrange(pg_temp.at('11:00'), pg_temp.at('12:00'))) $$,
    'so has its calendar row'
);
select is(
    (
        select a.changes - 'free_cancellation_until' - 'end_time' from public.booking_audit_log as a
        order by a.entry desc limit 1
    ),
    jsonb_build_object('start_time', jsonb_build_object(
        'old', to_char(pg_temp.at('10:00') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'),
        'new', to_char(pg_temp.at('11:00') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
    )),
    'the audit log has both times'
);
select is(
    (pg_temp.events(pg_temp.session('booked')))[2:], array['session.updated', 'session.updated'],
    'an event tells of it'
);

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.realign_sessions()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
