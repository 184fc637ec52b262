begin;
\ir include/setup.sql
select plan(111);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'hold_slot',
    array['uuid', 'uuid', 'date', 'time without time zone', 'integer', 'interval', 'text', 'text']
);
select function_lang_is('public'::name, 'hold_slot'::name, 'plpgsql'::name);
select function_returns('public'::name, 'hold_slot'::name, 'setof record');
select volatility_is('public'::name, 'hold_slot'::name, 'volatile');
select isnt_definer('public'::name, 'hold_slot'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist is in Berlin. The poor client has no credits.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 5) as g;

-- Whether an instant is as far ahead of this moment as it should be, give or take what the test takes.
create function pg_temp.is_in(p_instant timestamptz, p_interval interval) returns boolean language plpgsql
as $function$
begin
    return p_instant between now() + p_interval and clock_timestamp() + p_interval;
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- A hold, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_hold on commit drop as
select
    (select count(*) from public.sessions) as sessions,
    (select count(*) from bookingdb.ledger) as entries,
    (select count(*) from public.booking_audit_log) as audit_rows,
    (select count(*) from bookingdb.outbox) as events;

set local role authenticated;
select pg_temp.claim(pg_temp.poor_client());
select results_eq(
    $$
        select h.user_id, h.therapist_id, h.start_time, h.end_time, h.time_zone,
            pg_temp.is_in(h.expires_at, interval '5 minutes')
        from public.hold_slot(pg_temp.poor_client(), pg_temp.therapist(), current_date + 30, '23:30', 90) as h
    $$,
    $$
        values (
            pg_temp.poor_client(), pg_temp.therapist(),
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            'Europe/Berlin', true
        )
    $$,
    'returns the hold, in the zone of its therapist, and until when it lives; it costs nothing'
);
reset role;
select results_eq(
    $$
        select h.user_id, h.therapist_id, h.scheduled_date, h.scheduled_time, h.time_zone, h.duration_minutes,
            h.start_time, h.end_time, pg_temp.is_in(h.expires_at, interval '5 minutes'), h.released_at
        from bookingdb.holds as h
    $$,
    $$
        values (
            pg_temp.poor_client(), pg_temp.therapist(), current_date + 30, time '23:30', 'Europe/Berlin', 90,
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            true, null::timestamptz
        )
    $$,
    'writes the hold as it returned it'
);
select results_eq(
    $$
        select c.id, c.kind, c.therapist_id, c.client_id, c.period, c.blocked, c.expires_at
        from bookingdb.calendar as c
    $$,
    $$
        select h.id, 'hold', h.therapist_id, h.user_id, tstzrange(h.start_time, h.end_time),
            tstzrange(h.start_time, h.end_time), h.expires_at
        from bookingdb.holds as h
    $$,
    'writes the calendar row of the hold'
);
select results_eq(
    $$
        select
            (select count(*) from public.sessions),
            (select count(*) from bookingdb.ledger),
            (select count(*) from public.booking_audit_log),
            (select count(*) from bookingdb.outbox)
    $$,
    'select b.sessions, b.entries, b.audit_rows, b.events + 1 from before_hold as b',
    'writes nothing else: no session, no credit'
);
prepare events as
select
    o.event,
    h.scheduled_date - current_date as days
from bookingdb.outbox as o
inner join bookingdb.holds as h on o.subject_id = h.id
where h.user_id = pg_temp.poor_client()
order by o.id;
select results_eq(
    $$
        select o.event, o.subject_id, o.payload
        from bookingdb.outbox as o where o.event like 'hold.%'
    $$,
    $$
        select 'hold.placed', h.id, jsonb_build_object(
            'hold_id', h.id, 'user_id', h.user_id, 'therapist_id', h.therapist_id,
            'start_time', bookingdb.utc(h.start_time), 'end_time', bookingdb.utc(h.end_time),
            'expires_at', bookingdb.utc(h.expires_at)
        )
        from bookingdb.holds as h
    $$,
    'but one event'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Against everybody else
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok(
    $$ select pg_temp.book('x', pg_temp.client(), pg_temp.therapist(), 31, '00:30') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nobody else books what is held'
);
select throws_ok(
    $$ select public.hold_slot(pg_temp.client(), pg_temp.therapist(), current_date + 30, '23:00') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nobody else holds it'
);
select throws_ok(
    $$
        insert into public.sessions (user_id, therapist_id, start_time, end_time)
        select pg_temp.client(), pg_temp.therapist(), h.start_time, h.end_time from bookingdb.holds as h
    $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nobody else writes a session there'
);
select ok(
    public.check_booking_conflict(pg_temp.therapist(), current_date + 31, '00:00', '01:00'),
    'whoever asks is told that the therapist is busy'
);
select throws_ok(
    $$
        select public.hold_slot(
            pg_temp.poor_client(), pg_temp.other_therapist(), current_date + 31, '00:00', p_time_zone => 'Europe/Berlin'
        )
    $$,
    'PT409', 'Booking conflict: you already have a session at this time', 'the client does not hold two at a time'
);
select lives_ok(
    $$ select pg_temp.book('after it', pg_temp.client(), pg_temp.therapist(), 31, '01:00') $$,
    'what begins where it ends is free'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- At most one hold of a client with a therapist
-- ---------------------------------------------------------------------------------------------------------------------

prepare hold (uuid, uuid, integer, time) as
select h.user_id
from public.hold_slot($1, $2, current_date + $3, $4) as h;

select lives_ok(
    $$ execute hold(pg_temp.poor_client(), pg_temp.therapist(), 32, '10:00') $$,
    'another hold with the same therapist'
);
select results_eq(
    $$
        select h.scheduled_date - current_date, h.released_at is not null, c.id is not null
        from bookingdb.holds as h
        left join bookingdb.calendar as c on c.id = h.id
        order by 1
    $$,
    'values (30, true, false), (32, false, true)',
    'takes the place of the old one, which is given up'
);
select results_eq(
    'events',
    $$ values ('hold.placed', 30), ('hold.released', 30), ('hold.placed', 32) $$,
    'there are events for both'
);
select lives_ok(
    $$ select pg_temp.book('in its place', pg_temp.other_client(), pg_temp.therapist(), 30, '23:30') $$,
    'and whose time is free'
);
select lives_ok(
    $$ execute hold(pg_temp.poor_client(), pg_temp.therapist(), 32, '10:30') $$,
    'its own old hold is not in the way of the new one'
);
select lives_ok(
    $$ execute hold(pg_temp.poor_client(), pg_temp.other_therapist(), 33, '10:00') $$,
    'a hold with another therapist'
);
select lives_ok(
    $$ execute hold(pg_temp.other_client(), pg_temp.therapist(), 33, '10:00') $$,
    'and another client''s with the same therapist are holds of their own'
);
select is(
    (
        select count(*) from bookingdb.calendar as c
        where c.kind = 'hold'
    ), 3::bigint, 'three of them live'
);
create temporary table before_failure on commit drop as
select pg_temp.written() as written;
select throws_ok(
    $$ execute hold(pg_temp.poor_client(), pg_temp.therapist(), 33, '10:30') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'where the new one cannot be had'
);
select is(pg_temp.written(), (select b.written from before_failure as b), 'the old one stays');

-- ---------------------------------------------------------------------------------------------------------------------
-- It evaporates. No job has to run for that: pretends that its time is over.
-- ---------------------------------------------------------------------------------------------------------------------

update bookingdb.holds as h set expires_at = now() - interval '1 second'
where h.user_id = pg_temp.poor_client() and h.released_at is null;
update bookingdb.calendar as c set expires_at = h.expires_at
from bookingdb.holds as h
where h.id = c.id;
select is(
    public.check_booking_conflict(pg_temp.therapist(), current_date + 32, '10:30', '11:30'), false,
    'a hold that has expired is in nobody''s way'
);
select lives_ok(
    $$ select pg_temp.book('after a hold', pg_temp.client(), pg_temp.therapist(), 32, '11:00') $$,
    'another client books the time'
);
select lives_ok(
    $$
        insert into public.sessions (user_id, therapist_id, start_time, end_time)
        select pg_temp.poor_client(), pg_temp.other_therapist(), h.start_time, h.end_time
        from bookingdb.holds as h
        where h.user_id = pg_temp.poor_client() and h.therapist_id = pg_temp.other_therapist()
    $$,
    'or writes a session there'
);
select is_empty(
    $$ select c.id from bookingdb.calendar as c where c.kind = 'hold' and c.client_id = pg_temp.poor_client() $$,
    'whoever does so clears it away'
);
select lives_ok(
    $$ execute hold(pg_temp.poor_client(), pg_temp.therapist(), 34, '10:00') $$,
    'the client may hold again'
);
update bookingdb.holds as h set expires_at = now() - interval '1 second'
where h.scheduled_date = current_date + 34;
select lives_ok(
    $$ execute hold(pg_temp.poor_client(), pg_temp.therapist(), 35, '10:00') $$,
    'also while the expired one is still in the calendar'
);
select results_eq(
    $$
        select h.scheduled_date - current_date, h.released_at is not null
        from bookingdb.holds as h
        where h.user_id = pg_temp.poor_client() and h.therapist_id = pg_temp.therapist()
        order by h.scheduled_date, h.scheduled_time
    $$,
    'values (30, true), (32, true), (32, false), (34, false), (35, false)',
    'what has expired was not given up'
);
select is_empty(
    $$
        select o.event
        from bookingdb.outbox as o
        inner join bookingdb.holds as h on o.subject_id = h.id
        where h.scheduled_date = current_date + 34 and o.event <> 'hold.placed'
    $$,
    'and there is no event that says so'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- How long it lives
-- ---------------------------------------------------------------------------------------------------------------------

prepare lifetime (interval, interval) as
select pg_temp.is_in(h.expires_at, $2) as is_right
from public.hold_slot(pg_temp.client(), pg_temp.other_therapist(), current_date + 40, '10:00', p_ttl => $1) as h;

select results_eq($$ execute lifetime('10 seconds', '10 seconds') $$, array[true], 'at least 10 seconds');
select results_eq($$ execute lifetime('1 hour', '1 hour') $$, array[true], 'at most 1 hour');
select p.hold_lifetime from public.set_policy('{"hold_lifetime": "15 minutes"}', pg_temp.other_therapist()) as p;
select results_eq(
    $$ execute lifetime(null, '15 minutes') $$, array[true], 'as long as the therapist''s policy says'
);
select results_eq($$ execute lifetime('2 minutes', '2 minutes') $$, array[true], 'unless the call says otherwise');

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (time, integer, interval, text) as
select
    h.id,
    h.start_time,
    h.expires_at
from public.hold_slot(pg_temp.client(), pg_temp.therapist(), current_date + 50, $1, $2, $3, $4, 'a key') as h;
create temporary table first_answer on commit drop as
select
    h.id,
    h.start_time,
    h.expires_at
from public.hold_slot(pg_temp.client(), pg_temp.therapist(), current_date + 50, '10:00', 60, null, null, 'a key') as h;
select results_eq(
    $$ execute keyed('10:00', 60, null, null) $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same hold'
);
select results_eq(
    $$ select o.event from bookingdb.outbox as o inner join first_answer as f on f.id = o.subject_id $$,
    array['hold.placed'],
    'and there is one event'
);
set local datestyle = 'SQL, DMY';
set local intervalstyle = 'sql_standard';
select results_eq(
    $$ execute keyed('10:00', 60, null, null) $$,
    'select f.* from first_answer as f',
    'a key is recognised however the connection shows dates and intervals'
);
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
select
    throws_ok(
        format('execute keyed(%L, %L, %L, %L)', r.time, r.duration, r.ttl, r.zone),
        'PT422', 'Idempotency key was used with other parameters', r.name
    )
from (
    values
    ('11:00', 60, null, null, 'the same key for another time'),
    ('10:00', 45, null, null, 'the same key for another duration'),
    ('10:00', 60, '5 minutes', null, 'the same key for another lifetime'),
    ('10:00', 60, null, 'UTC', 'the same key for another zone')
) as r (time, duration, ttl, zone, name);
select lives_ok(
    $$ execute hold(pg_temp.client(), pg_temp.therapist(), 51, '10:00') $$, 'when it was given up since'
);
select results_eq(
    $$ execute keyed('10:00', 60, null, null) $$,
    'select f.* from first_answer as f',
    'the key is answered with it, and does not bring it back'
);
select is(
    public.check_booking_conflict(pg_temp.therapist(), current_date + 50, '10:00', '11:00'), false,
    'the time stays free'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select p.minimum_duration_minutes
from public.set_policy(
    '{"minimum_duration_minutes": 30, "maximum_duration_minutes": 90}', pg_temp.therapist()
) as p;
insert into bookingdb.calendar (kind, therapist_id, period, blocked)
select
    'external' as kind,
    pg_temp.therapist() as therapist_id,
    p.period,
    p.period as blocked
from (values (tstzrange(now() + interval '100 days', now() + interval '110 days'))) as p (period);
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format(
            'select public.hold_slot(%s, %s, %L, %L, %L, %L, %L, %L)',
            r.user_id, r.therapist_id, r.date, r.time, r.duration, r.ttl, r.zone, r.key
        ),
        r.sqlstate, r.message, r.name
    )
from (
    select
        v.date,
        v.time,
        v.duration,
        v.ttl,
        v.zone,
        v.key,
        v.sqlstate,
        v.message,
        v.name,
        coalesce(v.user_id, 'pg_temp.client()') as user_id,
        coalesce(v.therapist_id, 'pg_temp.therapist()') as therapist_id
    from (
        values
        ('null', null, current_date + 60, '10:00', 60, null, null, null, 'PT400', 'Invalid user ID format', 'no user'),
        (
            null, 'null', current_date + 60, '10:00', 60, null, null, null,
            'PT400', 'Invalid therapist ID format', 'no therapist'
        ),
        (
            'pg_temp.stranger()', null, current_date + 60, '10:00', 60, null, null, null,
            'PT404', 'User not found', 'a user that nobody knows'
        ),
        (
            null, 'pg_temp.stranger()', current_date + 60, '10:00', 60, null, null, null,
            'PT404', 'Therapist not found', 'a therapist that nobody knows'
        ),
        (
            null, 'pg_temp.other_client()', current_date + 60, '10:00', 60, null, null, null,
            'PT404', 'Therapist not found', 'a client for a therapist'
        ),
        (
            null, null, current_date + 60, '10:00', null, null, null, null,
            'PT400', 'Duration must be 15-180 minutes', 'no duration'
        ),
        (
            null, null, current_date + 60, '10:00', 14, null, null, null,
            'PT400', 'Duration must be 15-180 minutes', '14 minutes'
        ),
        (
            null, null, current_date + 60, '10:00', 181, null, null, null,
            'PT400', 'Duration must be 15-180 minutes', '181 minutes'
        ),
        (
            null, null, current_date + 60, '10:00', 15, null, null, null,
            'PT400', 'Duration must be 15-180 minutes', 'less than the therapist''s policy allows'
        ),
        (
            null, null, current_date + 60, '10:00', 91, null, null, null,
            'PT400', 'Duration must be 15-180 minutes', 'more than it allows'
        ),
        (
            null, null, current_date + 60, '10:00', 60, '9.9 seconds', null, null,
            'PT400', 'Invalid parameter', '9.9 seconds'
        ),
        (
            null, null, current_date + 60, '10:00', 60, '61 minutes', null, null,
            'PT400', 'Invalid parameter', '61 minutes'
        ),
        (
            null, null, current_date + 60, '10:00', 60, '1 mon -30 days', null, null,
            'PT400', 'Invalid parameter', 'a lifetime of nothing'
        ),
        (null, null, current_date + 60, '10:00', 60, null, null, '', 'PT400', 'Invalid parameter', 'an empty key'),
        (
            null, null, current_date + 60, '10:00', 60, null, null, repeat('k', 256),
            'PT400', 'Invalid parameter', 'a key of 256 characters'
        ),
        (null, null, null, '10:00', 60, null, null, null, 'PT400', 'Invalid date format', 'no date'),
        (null, null, current_date + 60, null, 60, null, null, null, 'PT400', 'Invalid time format', 'no time'),
        (
            null, null, current_date + 60, '10:00', 60, null, 'Mars+5', null,
            'PT400', 'Invalid time zone', 'a zone of Mars'
        ),
        (
            null, null, '2030-03-31', '02:30', 60, null, null, null,
            'PT400', 'Invalid time: skipped by a clock change', 'a time that the clocks jump over'
        ),
        (
            null, null, current_date - 2, '10:00', 60, null, null, null,
            'PT400', 'Cannot book in the past', 'a start that is over'
        ),
        (
            null, null, current_date + 105, '10:00', 60, null, null, null,
            'PT409', 'Booking conflict: time slot unavailable', 'an external appointment of the therapist'
        )
    ) as v (user_id, therapist_id, date, time, duration, ttl, zone, key, sqlstate, message, name)
) as r;

set local role authenticated;
select pg_temp.claim(null);
select throws_ok(
    $$ execute hold(pg_temp.client(), pg_temp.therapist(), 60, '10:00') $$, 'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.other_client());
select throws_ok(
    $$ execute hold(pg_temp.client(), pg_temp.therapist(), 60, '10:00') $$,
    'PT403', 'Not allowed to act for this user', 'a user for another user'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ execute hold(pg_temp.client(), pg_temp.therapist(), 60, '10:00') $$,
    'PT403', 'Not allowed to act for this user', 'the therapist for a client'
);
set local role anon;
select throws_ok(
    $$ execute hold(pg_temp.client(), pg_temp.therapist(), 60, '10:00') $$, '42501', null, 'nobody without a login'
);
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok(
    $$ execute hold(pg_temp.client(), pg_temp.therapist(), 60, '10:00') $$, 'the application''s own server'
);
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- When the therapist can be booked
-- ---------------------------------------------------------------------------------------------------------------------

\ir include/availability.sql
select is(r.outcome, r.expected, r.name)
from pg_temp.by_rule(
    'public.hold_slot(pg_temp.fourth_client(), pg_temp.third_therapist(), %L, %L, %s)'
) as r;
select d.override_date
from public.set_date_override(pg_temp.third_therapist(), pg_temp.monday() + 8, '[]') as d;
select throws_ok(
    $$
        select public.hold_slot(pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 8, '10:00')
    $$,
    'PT409', 'Booking conflict: outside available hours', 'the error of a time outside of the hours'
);

select p.maximum_sessions_per_day
from public.set_policy('{"maximum_sessions_per_day": 1}', pg_temp.third_therapist()) as p;
select lives_ok(
    $$ select public.hold_slot(pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 28, '09:00') $$,
    'a hold fills a day of one'
);
select lives_ok(
    $$ select public.hold_slot(pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 28, '11:00') $$,
    'but not for the one that takes its place'
);

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
