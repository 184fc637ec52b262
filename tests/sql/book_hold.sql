begin;
\ir include/setup.sql
select plan(62);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'book_hold',
    array['uuid', 'character varying', 'text', 'text', 'text']
);
select function_lang_is('public'::name, 'book_hold'::name, 'plpgsql'::name);
select function_returns('public'::name, 'book_hold'::name, 'setof record');
select volatility_is('public'::name, 'book_hold'::name, 'volatile');
select isnt_definer('public'::name, 'book_hold'::name);

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

-- Holds a time with a therapist, and returns the hold's id.
create function pg_temp.hold(p_client uuid, p_therapist uuid, p_days integer, p_minutes integer default 60)
returns uuid language plpgsql as $function$
begin
    return (
        select h.id
        from public.hold_slot(p_client, p_therapist, current_date + p_days, '23:30', p_minutes) as h
    );
end;
$function$;

-- A client's hold so many days from today, whoever asks.
create function pg_temp.held(p_days integer) returns uuid language plpgsql stable security definer as $function$
begin
    return (select h.id from bookingdb.holds as h where h.scheduled_date = current_date + p_days);
end;
$function$;

-- Pretends that the time of a hold is over.
create function pg_temp.expire(p_days integer) returns void language plpgsql as $function$
begin
    update bookingdb.holds as h set expires_at = now() - interval '1 second' where h.id = pg_temp.held(p_days);
    update bookingdb.calendar as c set expires_at = now() - interval '1 second' where c.id = pg_temp.held(p_days);
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- A hold becomes a session, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 30, 90);
create temporary table before_booking on commit drop as
select
    (select max(l.id) from bookingdb.ledger as l) as last_entry,
    (select max(o.id) from bookingdb.outbox as o) as last_event;

set local role authenticated;
select pg_temp.claim(pg_temp.client());
select results_eq(
    $$
        select b.id, b.user_id, b.therapist_id, b.title::text, b.description, b.scheduled_date, b.scheduled_time,
            b.start_time, b.end_time, b.duration_minutes, b.session_type::text, b.status::text, b.created_at,
            b.time_zone, b.credits_balance
        from public.book_hold(pg_temp.held(30), 'phone', 'about sleep', 'held') as b
    $$,
    $$
        values (
            pg_temp.held(30), pg_temp.client(), pg_temp.therapist(), 'held', 'about sleep',
            current_date + 30, time '23:30',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin',
            (current_date + 30 + time '23:30') at time zone 'Europe/Berlin' + interval '90 minutes',
            90, 'phone', 'scheduled', now(), 'Europe/Berlin', 4
        )
    $$,
    'returns the session, which has the hold''s id and its time, and the balance left'
);
reset role;
select results_eq(
    $$
        select s.id, s.user_id, s.therapist_id, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
            s.end_time, s.duration_minutes, s.session_type::text, s.status::text, s.time_zone, s.credits_charged,
            s.free_cancellation_until, s.series_id
        from public.sessions as s where s.title = 'held'
    $$,
    $$
        select h.id, h.user_id, h.therapist_id, 'about sleep', h.scheduled_date, h.scheduled_time, h.start_time,
            h.end_time, h.duration_minutes, 'phone', 'scheduled', h.time_zone, 1,
            h.start_time - interval '24 hours', null::uuid
        from bookingdb.holds as h
    $$,
    'writes the session as it returned it'
);
select results_eq(
    $$ select c.id, c.kind, c.therapist_id, c.client_id, c.period, c.expires_at from bookingdb.calendar as c $$,
    $$
        select h.id, 'session', h.therapist_id, h.user_id, tstzrange(h.start_time, h.end_time), null::timestamptz
        from bookingdb.holds as h
    $$,
    'the calendar row of the hold becomes that of the session'
);
select results_eq(
    $$
        select l.kind, l.amount, l.balance_after, l.session_id, l.actor
        from bookingdb.ledger as l where l.id > (select b.last_entry from before_booking as b)
    $$,
    $$ values ('debit', -1, 4, pg_temp.held(30), pg_temp.client()::text) $$,
    'writes one debit of one credit'
);
select results_eq(
    $$
        select a.session_id, a.action, a.old_status, a.new_status, a.changes, a.actor
        from public.booking_audit_log as a
    $$,
    $$ values (pg_temp.held(30), 'created', null::text, 'scheduled', jsonb '{}', pg_temp.client()::text) $$,
    'writes one audit row'
);
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o where o.id > (select b.last_event from before_booking as b) order by o.id
    $$,
    $$ values ('session.created', pg_temp.held(30)), ('hold.booked', pg_temp.held(30)) $$,
    'writes an event for the session and one for the hold'
);
select results_eq(
    $$ select h.released_at from bookingdb.holds as h $$, array[null::timestamptz], 'the hold was not given up'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Once
-- ---------------------------------------------------------------------------------------------------------------------

prepare book (integer) as
select
    b.status::text,
    b.title::text,
    b.session_type::text,
    b.description
from public.book_hold(pg_temp.held($1)) as b;

select throws_ok($$ execute book(30) $$, 'PT410', 'Hold expired', 'a second time');
select is(
    pg_temp.detail_of($$ execute book(30) $$) - 'expires_at',
    jsonb_build_object('code', 'hold_expired', 'hold_id', pg_temp.held(30), 'reason', 'booked'),
    'the error says that it was booked'
);
select is(
    pg_temp.detail_of($$ execute book(30) $$) ->> 'expires_at',
    (
        select to_char(h.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from bookingdb.holds as h
        where h.id = pg_temp.held(30)
    ),
    'and until when it could be, in UTC'
);
select c.refunded from public.cancel_session(pg_temp.held(30)) as c;
select is(
    pg_temp.detail_of($$ execute book(30) $$) ->> 'reason', 'booked', 'also when that session was cancelled'
);

select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 31);
select public.release_hold(pg_temp.held(31));
select throws_ok($$ execute book(31) $$, 'PT410', 'Hold expired', 'a hold that was given up');
select is(pg_temp.detail_of($$ execute book(31) $$) ->> 'reason', 'released', 'the error says so');

select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 32);
select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 33);
select throws_ok($$ execute book(32) $$, 'PT410', 'Hold expired', 'a hold whose place another one took');
select is(pg_temp.detail_of($$ execute book(32) $$) ->> 'reason', 'released', 'which is as good as given up');

select pg_temp.expire(33);
select throws_ok($$ execute book(33) $$, 'PT410', 'Hold expired', 'a hold that has expired');
select is(pg_temp.detail_of($$ execute book(33) $$) ->> 'reason', 'expired', 'the error says so');
select pg_temp.hold(pg_temp.other_client(), pg_temp.therapist(), 34);
select pg_temp.expire(34);
select b.id
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.therapist(), current_date + 34, '23:30'
) as b;
select throws_ok($$ execute book(34) $$, 'PT410', 'Hold expired', 'one whose time somebody else took then');
select is(pg_temp.detail_of($$ execute book(34) $$) ->> 'reason', 'expired', 'expired, too');

-- ---------------------------------------------------------------------------------------------------------------------
-- Defaults, zones, policies
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.hold(pg_temp.client(), pg_temp.other_therapist(), 40);
update bookingdb.policies as p set time_zone = 'Asia/Kathmandu', cancellation_window = '1 hour'
where p.therapist_id = pg_temp.other_therapist();
select results_eq(
    $$ execute book(40) $$, $$ values ('scheduled', 'Therapy Session', 'video', '') $$, 'the defaults of a booking'
);
select results_eq(
    $$
        select s.start_time, s.time_zone, s.start_time - s.free_cancellation_until
        from public.sessions as s where s.id = pg_temp.held(40)
    $$,
    $$ values ((current_date + 40 + time '23:30') at time zone 'UTC', 'UTC', interval '1 hour') $$,
    'the time is that of the hold; the deal is that of the moment of booking'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 50);
select pg_temp.hold(pg_temp.client(), pg_temp.other_therapist(), 51);
prepare keyed (integer, text) as
select
    b.id,
    b.credits_balance
from public.book_hold(pg_temp.held($1), p_title => $2, p_idempotency_key => 'a key') as b;
create temporary table first_answer on commit drop as
select
    b.id,
    b.credits_balance
from public.book_hold(pg_temp.held(50), p_title => 'T', p_idempotency_key => 'a key') as b;
select g.lot_balance from public.grant_credits(pg_temp.client(), 1) as g;
select results_eq(
    $$ execute keyed(50, 'T') $$,
    'select f.* from first_answer as f',
    'the same key again is answered with the same session and the first balance'
);
select is(public.get_credit_balance(pg_temp.client()), 3, 'and no second credit');
select throws_ok(
    $$ execute keyed(50, 'another title') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key with another title'
);
select throws_ok(
    $$ execute keyed(51, 'T') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key for another hold'
);
select throws_ok(
    $$ select public.book_hold(pg_temp.held(50), p_idempotency_key => 'another key') $$,
    'PT410', 'Hold expired', 'another key for the same hold'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals. The hold stays what it was.
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.hold(pg_temp.poor_client(), pg_temp.therapist(), 60);
select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 61);
select pg_temp.hold(pg_temp.other_client(), pg_temp.other_therapist(), 62);
select pg_temp.hold(pg_temp.other_client(), pg_temp.therapist(), 63);
-- Time off may come over what is held already.
insert into bookingdb.calendar (kind, therapist_id, period, blocked)
select
    'time_off' as kind,
    h.therapist_id,
    tstzrange(h.start_time, h.end_time) as period,
    tstzrange(h.start_time, h.end_time) as blocked
from bookingdb.holds as h
where h.id = pg_temp.held(61);
update bookingdb.policies as p set minimum_duration_minutes = 90
where p.therapist_id = pg_temp.other_therapist();
-- And time goes by: the hold lives, but its start is over.
update bookingdb.holds as h
set
    start_time = now() - interval '1 minute',
    end_time = now() + interval '59 minutes'
where h.id = pg_temp.held(63);
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.book_hold(%L, %L, %L, %L, %L)', r.hold_id, r.session_type, r.notes, r.title, r.key),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, 'video', '', 'T', null, 'PT400', 'Invalid parameter', 'no hold'),
    (pg_temp.stranger(), 'video', '', 'T', null, 'PT404', 'Hold not found', 'a hold that nobody knows'),
    (pg_temp.held(60), null, '', 'T', null, 'PT400', 'Invalid parameter', 'no session type'),
    (pg_temp.held(60), repeat('v', 51), '', 'T', null, 'PT400', 'Invalid parameter', 'a session type of 51 characters'),
    (pg_temp.held(60), 'video', repeat('n', 10001), 'T', null, 'PT400', 'Invalid parameter', '10001 characters'),
    (pg_temp.held(60), 'video', '', null, null, 'PT400', 'Invalid parameter', 'no title'),
    (pg_temp.held(60), 'video', '', repeat('t', 256), null, 'PT400', 'Invalid parameter', 'a title of 256 characters'),
    (pg_temp.held(60), 'video', '', 'T', '', 'PT400', 'Invalid parameter', 'an empty key'),
    (pg_temp.held(60), 'video', '', 'T', repeat('k', 256), 'PT400', 'Invalid parameter', 'a key of 256 characters'),
    (
        pg_temp.held(60), 'video', '', 'T', null,
        'PT402', 'Insufficient credits: purchase credits first', 'a client without credits'
    ),
    (
        pg_temp.held(61), 'video', '', 'T', null,
        'PT409', 'Booking conflict: time slot unavailable', 'time off that was taken since'
    ),
    (
        pg_temp.held(62), 'video', '', 'T', null,
        'PT400', 'Duration must be 15-180 minutes', 'a duration that the policy does not allow any more'
    ),
    (pg_temp.held(63), 'video', '', 'T', null, 'PT400', 'Cannot book in the past', 'a start that is over')
) as r (hold_id, session_type, notes, title, key, sqlstate, message, name);
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
select results_eq(
    $$ select c.kind from bookingdb.calendar as c where c.id = pg_temp.held(60) $$, array['hold'], 'the hold goes on'
);
select g.lot_balance from public.grant_credits(pg_temp.poor_client(), 1) as g;
select lives_ok($$ execute book(60) $$, 'until there is a credit for it');

select pg_temp.hold(pg_temp.client(), pg_temp.therapist(), 64);
update public.users as u set is_active = false
where u.id = pg_temp.client();
select throws_ok($$ execute book(64) $$, 'PT404', 'User not found', 'a client who cannot book any more');
update public.users as u set is_active = true
where u.id = pg_temp.client();
select public.set_therapist_active(pg_temp.therapist(), false);
select throws_ok($$ execute book(64) $$, 'PT404', 'Therapist not found', 'a therapist who cannot be booked any more');
select public.set_therapist_active(pg_temp.therapist(), true);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_strangers on commit drop as
select pg_temp.written() as written;
set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute book(64) $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_client());
select throws_ok($$ execute book(64) $$, 'PT403', 'Not allowed to act for this user', 'another client');
select pg_temp.claim(pg_temp.therapist());
select throws_ok($$ execute book(64) $$, 'PT403', 'Not allowed to act for this user', 'the therapist');
set local role anon;
select throws_ok($$ execute book(64) $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_strangers as b), 'strangers leave nothing behind');
set local role service_role;
select lives_ok($$ execute book(64) $$, 'the application''s own server');
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- Hours, notice, horizon and limits were looked at when the time was held
-- ---------------------------------------------------------------------------------------------------------------------

\ir include/availability.sql
create temporary table ruled on commit drop as
select h.id
from public.hold_slot(pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 28, '09:00') as h;
select pg_temp.book(
    'the same day', pg_temp.third_client(), pg_temp.third_therapist(), pg_temp.monday() + 28 - current_date, '11:00'
);
select d.override_date from public.set_date_override(pg_temp.third_therapist(), pg_temp.monday() + 28, '[]') as d;
select h.weekday
from public.set_weekly_hours(
    pg_temp.third_therapist(), '[{"weekday": 2, "start_time": "09:00", "end_time": "12:00"}]'
) as h;
select p.minimum_notice
from public.set_policy(
    '{"minimum_notice": "300 days", "maximum_advance": "1 day", "maximum_sessions_per_day": 1,
    "maximum_sessions_per_week": 1}',
    pg_temp.third_therapist()
) as p;
select throws_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.third_client(), pg_temp.third_therapist(), pg_temp.monday() + 28, '10:00'
        )
    $$,
    'PT400', 'Too close to the start to book', 'what cannot be booked any more'
);
select lives_ok('select public.book_hold(r.id) from ruled as r', 'is booked, when it was held before');
select results_eq(
    $$
        select s.hours_overridden, a.changes
        from ruled as r
        inner join public.sessions as s on r.id = s.id
        inner join public.booking_audit_log as a on s.id = a.session_id
    $$,
    $$ values (false, '{}'::jsonb) $$,
    'and nobody overrode anything'
);

-- What is in the way by now is in the way.
select p.minimum_notice
from public.set_policy(
    '{"minimum_notice": null, "maximum_advance": null, "maximum_sessions_per_day": null,
    "maximum_sessions_per_week": null}',
    pg_temp.third_therapist()
) as p;
create temporary table held_on_tuesday on commit drop as
select h.id
from public.hold_slot(pg_temp.fourth_client(), pg_temp.third_therapist(), pg_temp.monday() + 29, '10:00') as h;
select t.id
from public.add_time_off(pg_temp.third_therapist(), pg_temp.at(29, '10:30'), pg_temp.at(30, '00:00')) as t;
create temporary table before_ruled on commit drop as
select pg_temp.written() as written;
select is(
    pg_temp.detail_of('select public.book_hold(h.id) from held_on_tuesday as h'),
    jsonb_build_object(
        'code', 'booking_conflict', 'rule', 'time_off', 'therapist_id', pg_temp.third_therapist(),
        'start_time', bookingdb.utc(pg_temp.at(29, '10:00')), 'end_time', bookingdb.utc(pg_temp.at(29, '11:00')),
        'next_free', bookingdb.utc(pg_temp.at(36, '09:00'))
    ),
    'time off that was added since; what is free next is so within the hours'
);
select is(pg_temp.written(), (select b.written from before_ruled as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

-- The invariants forbid what comes now: an answer that is gone.
delete from public.sessions as s using first_answer as f
where s.id = f.id;
select throws_ok(
    $$ execute keyed(50, 'T') $$, 'PT404', 'Session not found', 'a request again whose session was deleted'
);

select * from finish();
rollback;
