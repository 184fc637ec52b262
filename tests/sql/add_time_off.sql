begin;
\ir include/setup.sql
select plan(41);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'add_time_off',
    array['uuid', 'timestamp with time zone', 'timestamp with time zone', 'text']
);
select function_lang_is('public'::name, 'add_time_off'::name, 'plpgsql'::name);
select function_returns('public'::name, 'add_time_off'::name, 'setof record');
select volatility_is('public'::name, 'add_time_off'::name, 'volatile');
select isnt_definer('public'::name, 'add_time_off'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist has three sessions on consecutive days; one in between is cancelled, and one is held
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 10) as g;
select pg_temp.book('first', pg_temp.client(), pg_temp.therapist(), 30);
select pg_temp.book('second', pg_temp.client(), pg_temp.therapist(), 31);
select pg_temp.book('third', pg_temp.client(), pg_temp.therapist(), 32);
select pg_temp.book('cancelled', pg_temp.client(), pg_temp.therapist(), 31, '14:00');
select c.status from public.cancel_session(pg_temp.session('cancelled')) as c;
select h.start_time from public.hold_slot(pg_temp.other_client(), pg_temp.therapist(), current_date + 31, '12:00') as h;

-- An instant some days from today.
create function pg_temp.at(p_days integer, p_time time) returns timestamptz language sql stable
return (current_date + p_days + p_time) at time zone 'UTC';

-- ---------------------------------------------------------------------------------------------------------------------
-- Time off, and everything that is written then
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_time_off on commit drop as
select
    (select max(o.id) from bookingdb.outbox as o) as last_event,
    (select md5(string_agg(s::text, ' ' order by s.id)) from public.sessions as s) as sessions;

set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
create temporary table time_off on commit drop as
select
    t.id,
    t.start_time,
    t.end_time,
    t.reason,
    t.session_ids
from public.add_time_off(
    pg_temp.therapist(), pg_temp.at(30, '11:00'), pg_temp.at(32, '10:30'), 'a conference'
) as t;
reset role;
select results_eq(
    'select t.start_time, t.end_time, t.reason, t.session_ids from time_off as t',
    $$
        values (
            pg_temp.at(30, '11:00'), pg_temp.at(32, '10:30'), 'a conference',
            array[pg_temp.session('second'), pg_temp.session('third')]
        )
    $$,
    'a therapist is told which sessions are booked in its time off; one that ends when it begins is not'
);
select results_eq(
    $$
        select c.id, c.therapist_id, c.client_id, c.period, c.blocked, c.expires_at, c.reason
        from bookingdb.calendar as c where c.kind = 'time_off'
    $$,
    $$
        select t.id, pg_temp.therapist(), null::uuid, tstzrange(t.start_time, t.end_time),
            tstzrange(t.start_time, t.end_time), null::timestamptz, t.reason
        from time_off as t
    $$,
    'writes a row of the calendar'
);
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o
        cross join before_time_off as b
        where o.id > b.last_event
    $$,
    $$ values ('availability.changed', pg_temp.therapist()) $$,
    'and one event'
);
select is(
    (select md5(string_agg(s::text, ' ' order by s.id)) from public.sessions as s),
    (select b.sessions from before_time_off as b),
    'the sessions stay'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What it does
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok(
    $$ select pg_temp.book('x', pg_temp.client(), pg_temp.therapist(), 31, '16:00') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nothing can be booked in it'
);
select results_eq(
    $$
        select d.detail ->> 'rule', d.detail ->> 'next_free'
        from (
            select pg_temp.detail_of(
                $a$ select pg_temp.book('x', pg_temp.client(), pg_temp.therapist(), 31, '16:00') $a$
            )
        ) as d (detail)
    $$,
    $$ values ('time_off', to_char(current_date + 32, 'YYYY-MM-DD"T11:00:00Z"')) $$,
    'the error says so, and what is free next'
);
select throws_ok(
    $$
        insert into public.sessions (user_id, therapist_id, start_time, end_time)
        values (pg_temp.client(), pg_temp.therapist(), pg_temp.at(31, '16:00'), pg_temp.at(31, '17:00'))
    $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nor written there'
);
select throws_ok(
    $$ select public.reschedule_session(pg_temp.session('first'), current_date + 30, '10:30') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nor moved there'
);
select throws_ok(
    $$ select public.book_hold(h.id) from bookingdb.holds as h $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nor booked, when it was held'
);
select lives_ok(
    $$ select public.confirm_session(pg_temp.session('second')) $$, 'what is booked goes on'
);
select lives_ok(
    $$ select pg_temp.book('after it', pg_temp.client(), pg_temp.therapist(), 32, '11:00') $$,
    'what begins after its end is free'
);
select lives_ok(
    $$ select pg_temp.book('elsewhere', pg_temp.client(), pg_temp.other_therapist(), 31, '16:00') $$,
    'the other therapist is not off'
);

-- The same again is a retry.
create temporary table before_retry on commit drop as
select pg_temp.written() as written;
select results_eq(
    $$
        select t.id, t.reason, t.session_ids
        from public.add_time_off(pg_temp.therapist(), pg_temp.at(30, '11:00'), pg_temp.at(32, '10:30'), 'else') as t
    $$,
    $$
        select t.id, t.reason, t.session_ids
        from time_off as t
    $$,
    'the same time again is the same time off'
);
select is(pg_temp.written(), (select b.written from before_retry as b), 'and nothing is written');
select isnt(
    (
        select t.id
        from public.add_time_off(pg_temp.therapist(), pg_temp.at(31, '00:00'), pg_temp.at(33, '00:00')) as t
    ),
    (select t.id from time_off as t),
    'another that overlaps it is one of its own'
);
select results_eq(
    $$
        select t.reason, t.session_ids
        from public.add_time_off(pg_temp.other_therapist(), pg_temp.at(-3, '00:00'), pg_temp.at(-2, '00:00')) as t
    $$,
    $$ values (null::text, '{}'::uuid[]) $$,
    'time off that is over, for no reason'
);

-- Buffers are between sessions: time off needs no distance.
select p.buffer_before_minutes
from public.set_policy(
    '{"buffer_before_minutes": 30, "buffer_after_minutes": 30}', pg_temp.other_therapist()
) as p;
select t.id
from public.add_time_off(pg_temp.other_therapist(), pg_temp.at(40, '10:00'), pg_temp.at(40, '12:00')) as t;
select lives_ok(
    $$ select pg_temp.book('before', pg_temp.client(), pg_temp.other_therapist(), 40, '09:00') $$,
    'a session may end when time off begins'
);
select lives_ok(
    $$ select pg_temp.book('behind', pg_temp.client(), pg_temp.other_therapist(), 40, '12:00') $$,
    'and begin when it ends, buffers or not'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.add_time_off(%s, %L, %L, %L)', r.therapist_id, r.starts_at, r.ends_at, r.reason),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (
        'null', '2030-01-07 00:00+00', '2030-01-08 00:00+00', null,
        'PT400', 'Invalid therapist ID format', 'no therapist'
    ),
    (
        'pg_temp.stranger()', '2030-01-07 00:00+00', '2030-01-08 00:00+00', null,
        'PT404', 'Therapist not found', 'a therapist that nobody knows'
    ),
    (
        'pg_temp.client()', '2030-01-07 00:00+00', '2030-01-08 00:00+00', null,
        'PT404', 'Therapist not found', 'a client'
    ),
    ('pg_temp.therapist()', null, '2030-01-08 00:00+00', null, 'PT400', 'Invalid parameter', 'no start'),
    ('pg_temp.therapist()', '2030-01-07 00:00+00', null, null, 'PT400', 'Invalid parameter', 'no end'),
    ('pg_temp.therapist()', '-infinity', '2030-01-08 00:00+00', null, 'PT400', 'Invalid parameter', 'since ever'),
    ('pg_temp.therapist()', '2030-01-07 00:00+00', 'infinity', null, 'PT400', 'Invalid parameter', 'for ever'),
    (
        'pg_temp.therapist()', '2030-01-07 00:00+00', '2030-01-07 00:00+00', null,
        'PT400', 'Invalid parameter', 'no time at all'
    ),
    (
        'pg_temp.therapist()', '2030-01-08 00:00+00', '2030-01-07 00:00+00', null,
        'PT400', 'Invalid parameter', 'an end before the start'
    ),
    (
        'pg_temp.therapist()', '2030-01-07 00:00+00', '2030-01-08 00:00+00', repeat('r', 1001),
        'PT400', 'Invalid parameter', 'a reason of 1001 characters'
    )
) as r (therapist_id, starts_at, ends_at, reason, sqlstate, message, name);
select is(
    pg_temp.detail_of(
        $$ select public.add_time_off(pg_temp.therapist(), pg_temp.at(50, '10:00'), pg_temp.at(50, '10:00')) $$
    ),
    '{"code": "invalid_parameter", "parameter": "p_end"}',
    'the error names the parameter'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

prepare off as
select t.id from public.add_time_off(pg_temp.therapist(), pg_temp.at(50, '00:00'), pg_temp.at(51, '00:00')) as t;

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('off', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok('off', 'PT403', 'Not allowed to act for this user', 'another therapist');
select pg_temp.claim(pg_temp.client());
select throws_ok('off', 'PT403', 'Not allowed to act for this user', 'a client');
set local role anon;
select throws_ok('off', '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok('off', 'the application''s own server');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
