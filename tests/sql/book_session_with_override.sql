begin;
\ir include/setup.sql
select plan(62);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'book_session_with_override',
    array[
        'uuid', 'uuid', 'date', 'time without time zone', 'integer', 'character varying', 'text', 'text', 'text',
        'boolean', 'text'
    ]
);
select function_lang_is('public'::name, 'book_session_with_override'::name, 'plpgsql'::name);
select function_returns('public'::name, 'book_session_with_override'::name, 'setof record');
select volatility_is('public'::name, 'book_session_with_override'::name, 'volatile');
select isnt_definer('public'::name, 'book_session_with_override'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist, in Kathmandu, is there on Mondays from nine to twelve
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select public.register_client('c@client.test', 'C', pg_temp.poor_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 20) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 20) as g;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

prepare override (integer, time) as
select
    b.scheduled_time,
    b.credits_balance
from public.book_session_with_override(
    pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + $1, $2
) as b;

-- What the audit log says about the creation of the session at a local time.
create function pg_temp.audited(p_days integer, p_time time) returns jsonb language plpgsql stable as $function$
begin
    return (
        select a.changes
        from public.sessions as s
        inner join public.booking_audit_log as a on s.id = a.session_id
        where a.action = 'created' and s.scheduled_date = pg_temp.monday() + p_days and s.scheduled_time = p_time
    );
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- A booking outside of the hours
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 1, '20:00'
        )
    $$,
    'PT409', 'Booking conflict: outside available hours', 'what cannot be booked otherwise'
);
set local role service_role;
select results_eq(
    $$
        select b.user_id, b.therapist_id, b.title::text, b.description, b.scheduled_date, b.scheduled_time,
            b.start_time, b.end_time, b.duration_minutes, b.session_type::text, b.status::text, b.created_at,
            b.time_zone, b.credits_balance
        from public.book_session_with_override(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 1, '20:00', 90, 'phone', 'urgent', 'Evening'
        ) as b
    $$,
    $$
        values (
            pg_temp.client(), pg_temp.therapist(), 'Evening', 'urgent', pg_temp.monday() + 1, time '20:00',
            (pg_temp.monday() + 1 + time '20:00') at time zone 'Asia/Kathmandu',
            (pg_temp.monday() + 1 + time '21:30') at time zone 'Asia/Kathmandu',
            90, 'phone', 'scheduled', now(), 'Asia/Kathmandu', 19
        )
    $$,
    'the application''s own server books it'
);
reset role;
select is(pg_temp.audited(1, '20:00'), '{"hours_overridden": {"new": true}}', 'the audit log says so');
select is(
    (
        select s.hours_overridden from public.sessions as s
        where s.title = 'Evening'
    ), true, 'and the session'
);
select results_eq(
    $$
        select c.kind, l.kind, l.amount
        from public.sessions as s
        inner join bookingdb.calendar as c on c.id = s.id
        inner join bookingdb.ledger as l on l.session_id = s.id
        where s.title = 'Evening'
    $$,
    $$ values ('session', 'debit', -1) $$,
    'all else is as in any booking'
);
select results_eq($$ execute override(0, '09:00') $$, $$ values (time '09:00', 18) $$, 'within the hours');
select is(pg_temp.audited(0, '09:00'), '{}', 'nothing was overridden');
select results_eq($$ execute override(0, '11:30') $$, $$ values (time '11:30', 17) $$, 'half of it outside');
select is(pg_temp.audited(0, '11:30'), '{"hours_overridden": {"new": true}}', 'is outside');
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 7, '[]') as d;
select results_eq($$ execute override(7, '09:00') $$, $$ values (time '09:00', 16) $$, 'a closed date');
select is(pg_temp.audited(7, '09:00'), '{"hours_overridden": {"new": true}}', 'the audit log says so');
select p.require_hours from public.set_policy('{"require_hours": true}', pg_temp.other_therapist()) as p;
select lives_ok(
    $$
        select public.book_session_with_override(
            pg_temp.client(), pg_temp.other_therapist(), pg_temp.monday() + 9, '10:00'
        )
    $$,
    'a therapist who must have hours and has none'
);
select is(
    (
        select (m.start_time at time zone 'Asia/Kathmandu')::time
        from public.reschedule_session(pg_temp.session('Evening'), pg_temp.monday() + 14, '09:00') as m
    ), '09:00'::time, 'it can be moved into the hours'
);
select is(
    (
        select s.hours_overridden from public.sessions as s
        where s.title = 'Evening'
    ), false, 'and is a session like any other then'
);
select throws_ok(
    $$ select public.reschedule_session(pg_temp.session('Evening'), pg_temp.monday() + 15, '09:00') $$,
    'PT409', 'Booking conflict: outside available hours', 'which cannot be moved out of them'
);

-- Without an override it is a booking like any other.
select throws_ok(
    $$
        select public.book_session_with_override(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 1, '20:00', p_override_hours => false
        )
    $$,
    'PT409', 'Booking conflict: outside available hours', 'hours that are not overridden'
);
select is(
    pg_temp.detail_of(
        $$
            select public.book_session_with_override(
                pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 1, '20:00', p_override_hours => false
            )
        $$
    ) ->> 'rule',
    'weekly_hours', 'the error says so'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What it does not override
-- ---------------------------------------------------------------------------------------------------------------------

select t.id
from public.add_time_off(
    pg_temp.therapist(), (pg_temp.monday() + 16 + time '00:00') at time zone 'Asia/Kathmandu',
    (pg_temp.monday() + 17 + time '00:00') at time zone 'Asia/Kathmandu'
) as t;
select y.inserted
from public.sync_external_busy(
    pg_temp.therapist(), 'calendar',
    jsonb_build_array(
        jsonb_build_object(
            'external_id', 'a',
            'start_time', (pg_temp.monday() + 17 + time '10:00') at time zone 'Asia/Kathmandu',
            'end_time', (pg_temp.monday() + 17 + time '11:00') at time zone 'Asia/Kathmandu'
        )
    )
) as y;
select b.id
from public.book_session_with_override(
    pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday() + 18, '10:00'
) as b;
select b.id
from public.create_session_with_credit_deduction(
    pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday() + 21, '09:00'
) as b;
select h.id
from public.hold_slot(pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday() + 28, '11:00') as h;
select p.minimum_notice
from public.set_policy(
    '{"minimum_notice": "24 hours", "buffer_before_minutes": 10, "maximum_sessions_per_day": 1,
    "maximum_duration_minutes": 120}',
    pg_temp.therapist()
) as p;
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;
select
    results_eq(
        format(
            'select d.detail ->> %L, d.detail ->> %L from pg_temp.detail_of(%L) as d (detail)', 'code', 'rule',
            format(
                'select public.book_session_with_override(%L, %L, pg_temp.monday() + %s, %L)',
                pg_temp.client(), pg_temp.therapist(), r.day, r.time
            )
        ),
        format('values (%L::text, %L::text)', r.code, r.rule), r.name
    )
from (
    values
    (16, '09:00', 'booking_conflict', 'time_off', 'time off'),
    (17, '10:30', 'booking_conflict', 'external', 'an external appointment'),
    (17, '11:05', 'booking_conflict', 'buffer', 'a buffer'),
    (18, '10:30', 'booking_conflict', 'session', 'a session'),
    (28, '11:30', 'booking_conflict', 'hold', 'a hold'),
    (18, '18:00', 'booking_conflict', 'maximum_sessions_per_day', 'a day that is full'),
    (400, '10:00', 'too_far', 'maximum_advance', 'the horizon'),
    (-30, '10:00', 'in_past', null, 'the past')
) as r (day, time, code, rule, name);
select results_eq(
    $$
        select d.detail ->> 'code', d.detail ->> 'rule'
        from pg_temp.detail_of(
            format(
                'select public.book_session_with_override(pg_temp.client(), pg_temp.therapist(), %L, %L)',
                ((now() + interval '3 hours') at time zone 'Asia/Kathmandu')::date,
                date_trunc('minute', (now() + interval '3 hours') at time zone 'Asia/Kathmandu')::time
            )
        ) as d (detail)
    $$,
    $$ values ('too_soon', 'minimum_notice') $$,
    'the notice'
);
select results_eq(
    $$
        select d.detail ->> 'next_free'
        from pg_temp.detail_of(
            $a$
                select public.book_session_with_override(
                    pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 17, '10:30'
                )
            $a$
        ) as d (detail)
    $$,
    $$ values (to_char(pg_temp.monday() + 17, 'YYYY-MM-DD"T05:30:00Z"')) $$,
    'what is free next is free without regard to hours, too'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format(
            'select public.book_session_with_override(%s, %s, %L, %L, %L, %L, %L, %L, %L, %L, %L)',
            coalesce(r.user_id, 'pg_temp.client()'), coalesce(r.therapist_id, 'pg_temp.therapist()'), r.date, r.time,
            r.duration, r.session_type, r.notes, r.title, r.zone, r.override_hours, r.key
        ),
        r.sqlstate, r.message, r.name
    )
from (
    select
        v.*,
        pg_temp.monday() + 36 as date
    from (
        values
        (
            'null', null, '10:00', 60, 'video', '', 'T', null, true, null,
            'PT400', 'Invalid user ID format', 'no user'
        ),
        (
            null, 'null', '10:00', 60, 'video', '', 'T', null, true, null,
            'PT400', 'Invalid therapist ID format', 'no therapist'
        ),
        (
            'pg_temp.stranger()', null, '10:00', 60, 'video', '', 'T', null, true, null,
            'PT404', 'User not found', 'a user that nobody knows'
        ),
        (
            null, 'pg_temp.client()', '10:00', 60, 'video', '', 'T', null, true, null,
            'PT404', 'Therapist not found', 'a client for a therapist'
        ),
        (null, null, null, 60, 'video', '', 'T', null, true, null, 'PT400', 'Invalid time format', 'no time'),
        (
            null, null, '10:00', null, 'video', '', 'T', null, true, null,
            'PT400', 'Duration must be 15-180 minutes', 'no duration'
        ),
        (
            null, null, '10:00', 121, 'video', '', 'T', null, true, null,
            'PT400', 'Duration must be 15-180 minutes', 'more than the policy allows'
        ),
        (null, null, '10:00', 60, '', '', 'T', null, true, null, 'PT400', 'Invalid parameter', 'no session type'),
        (
            null, null, '10:00', 60, 'video', repeat('n', 10001), 'T', null, true, null,
            'PT400', 'Invalid parameter', 'notes too long'
        ),
        (null, null, '10:00', 60, 'video', '', null, null, true, null, 'PT400', 'Invalid parameter', 'no title'),
        (null, null, '10:00', 60, 'video', '', 'T', 'Mars+5', true, null, 'PT400', 'Invalid time zone', 'Mars'),
        (
            null, null, '10:00', 60, 'video', '', 'T', null, null, null,
            'PT400', 'Invalid parameter', 'neither overridden nor not'
        ),
        (null, null, '10:00', 60, 'video', '', 'T', null, true, '', 'PT400', 'Invalid parameter', 'an empty key'),
        (
            'pg_temp.poor_client()', null, '10:00', 60, 'video', '', 'T', null, true, null,
            'PT402', 'Insufficient credits: purchase credits first', 'a client without credits'
        ),
        (
            'pg_temp.other_client()', 'pg_temp.other_therapist()', '10:00', 60, 'video', '', 'T', 'CEST', true, null,
            'PT400', 'Invalid time zone', 'an abbreviation'
        )
    ) as v (
        user_id, therapist_id, time, duration, session_type, notes, title, zone, override_hours, key, sqlstate, message,
        name
    )
) as r;
select throws_ok(
    $$ select public.book_session_with_override(pg_temp.client(), pg_temp.therapist(), null, '10:00') $$,
    'PT400', 'Invalid date format', 'no date'
);
select throws_ok(
    $$
        select public.book_session_with_override(
            pg_temp.client(), pg_temp.therapist(), '2030-03-31', '02:30', p_time_zone => 'Europe/Berlin'
        )
    $$,
    'PT400', 'Invalid time: skipped by a clock change', 'a time that the clocks jump over'
);
select throws_ok(
    $$
        select public.book_session_with_override(
            pg_temp.other_client(), pg_temp.other_therapist(), pg_temp.monday() + 18, '10:30',
            p_time_zone => 'Asia/Kathmandu'
        )
    $$,
    'PT409', 'Booking conflict: you already have a session at this time', 'a client who is busy'
);
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');

-- ---------------------------------------------------------------------------------------------------------------------
-- Idempotency keys
-- ---------------------------------------------------------------------------------------------------------------------

prepare keyed (boolean, text) as
select
    b.id,
    b.credits_balance
from public.book_session_with_override(
    pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 35, '10:00', p_title => $2, p_override_hours => $1,
    p_idempotency_key => 'a key'
) as b;
create temporary table first_answer on commit drop as
select
    b.id,
    b.credits_balance
from public.book_session_with_override(
    pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 35, '10:00', p_title => 'T', p_idempotency_key => 'a key'
) as b;
select results_eq(
    $$ execute keyed(true, 'T') $$, 'select f.* from first_answer as f', 'the same key again has the same answer'
);
select throws_ok(
    $$ execute keyed(true, 'U') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key with another title'
);
select throws_ok(
    $$ execute keyed(false, 'T') $$,
    'PT422', 'Idempotency key was used with other parameters', 'the same key without the override'
);
select isnt(
    (
        select b.id
        from public.create_session_with_credit_deduction(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 42, '10:00', p_title => 'T',
            p_idempotency_key => 'a key'
        ) as b
    ),
    (select f.id from first_answer as f),
    'keys of another function are others'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_strangers on commit drop as
select pg_temp.written() as written;
set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute override(36, '10:00') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ execute override(36, '10:00') $$, 'PT403', 'Not allowed to act for this user', 'the client for itself'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ execute override(36, '10:00') $$, 'PT403', 'Not allowed to act for this user', 'the therapist'
);
set local role anon;
select throws_ok($$ execute override(36, '10:00') $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_strangers as b), 'strangers leave nothing behind');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

-- The invariants forbid what comes now: an answer that is gone.
delete from public.sessions as s using first_answer as f
where s.id = f.id;
select throws_ok(
    $$ execute keyed(true, 'T') $$, 'PT404', 'Session not found', 'a request again whose session was deleted'
);

select * from finish();
rollback;
