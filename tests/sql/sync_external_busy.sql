begin;
\ir include/setup.sql
select plan(73);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'sync_external_busy',
    array['uuid', 'text', 'jsonb', 'timestamp with time zone', 'timestamp with time zone']
);
select function_lang_is('public'::name, 'sync_external_busy'::name, 'plpgsql'::name);
select function_returns('public'::name, 'sync_external_busy'::name, 'setof record');
select volatility_is('public'::name, 'sync_external_busy'::name, 'volatile');
select isnt_definer('public'::name, 'sync_external_busy'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist has a session
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), 30, '10:00');

-- An instant some days from today.
create function pg_temp.at(p_days integer, p_time time default '00:00') returns timestamptz language sql stable
return (current_date + p_days + p_time) at time zone 'UTC';

-- An appointment of an hour.
create function pg_temp.event(p_id text, p_days integer, p_time time) returns jsonb language sql stable
return jsonb_build_object(
    'external_id', p_id,
    'start_time', pg_temp.at(p_days, p_time),
    'end_time', pg_temp.at(p_days, p_time) + interval '1 hour'
);

prepare events as
select
    c.external_source,
    c.external_id,
    lower(c.period) as starts_at
from bookingdb.calendar as c
where c.kind = 'external'
order by c.external_source, c.external_id;

-- ---------------------------------------------------------------------------------------------------------------------
-- Appointments come, change and go
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_events on commit drop as
select max(o.id) as last_event from bookingdb.outbox as o;

set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select results_eq(
    $$
        select y.inserted, y.updated, y.removed, y.session_ids
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(
                pg_temp.event('a', 30, '10:30'), pg_temp.event('b', 31, '10:00'), pg_temp.event('c', 32, '10:00'),
                '{"external_id": "never seen", "removed": true}'::jsonb
            )
        ) as y
    $$,
    $$ values (3, 0, 0, array[pg_temp.session('booked')]) $$,
    'a therapist sends its appointments, and is told which sessions they overlap'
);
reset role;
select results_eq(
    $$
        select c.therapist_id, c.client_id, c.external_source, c.external_id, c.period, c.blocked
        from bookingdb.calendar as c
        where c.kind = 'external' and c.external_id = 'b'
    $$,
    $$
        values (
            pg_temp.therapist(), null::uuid, 'work', 'b',
            tstzrange(pg_temp.at(31, '10:00'), pg_temp.at(31, '11:00')),
            tstzrange(pg_temp.at(31, '10:00'), pg_temp.at(31, '11:00'))
        )
    $$,
    'each is a row of the calendar'
);
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o
        cross join before_events as b
        where o.id > b.last_event
    $$,
    $$ values ('availability.changed', pg_temp.therapist()) $$,
    'with one event for all of them'
);
select is(
    (
        select s.status::text from public.sessions as s
        where s.title = 'booked'
    ), 'scheduled', 'the session stays'
);
create temporary table before_retry on commit drop as
select pg_temp.written() as written;
select results_eq(
    $$
        select y.inserted, y.updated, y.removed, y.session_ids
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(
                pg_temp.event('a', 30, '10:30'), pg_temp.event('b', 31, '10:00'), pg_temp.event('c', 32, '10:00')
            )
        ) as y
    $$,
    $$ values (0, 0, 0, array[pg_temp.session('booked')]) $$,
    'the same again changes nothing'
);
select is(pg_temp.written(), (select b.written from before_retry as b), 'and writes nothing');
select results_eq(
    $$
        select y.inserted, y.updated, y.removed, y.session_ids
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(
                pg_temp.event('a', 33, '10:30'), '{"external_id": "b", "removed": true}'::jsonb,
                pg_temp.event('d', 34, '10:00') || '{"removed": false, "title": "lunch"}'
            )
        ) as y
    $$,
    $$ values (1, 1, 1, '{}'::uuid[]) $$,
    'one is new, one has moved, one is gone'
);
select results_eq(
    'events',
    $$
        values
        ('work', 'a', pg_temp.at(33, '10:30')), ('work', 'c', pg_temp.at(32, '10:00')),
        ('work', 'd', pg_temp.at(34, '10:00'))
    $$,
    'what was not named stays'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- A stretch of time as a whole
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select y.inserted, y.updated, y.removed
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(pg_temp.event('c', 32, '15:00'), pg_temp.event('e', 33, '15:00')),
            pg_temp.at(32), pg_temp.at(34)
        ) as y
    $$,
    $$ values (1, 1, 1) $$,
    'what the other calendar does not have any more in a stretch of time goes'
);
select results_eq(
    'events',
    $$
        values
        ('work', 'c', pg_temp.at(32, '15:00')), ('work', 'd', pg_temp.at(34, '10:00')),
        ('work', 'e', pg_temp.at(33, '15:00'))
    $$,
    'what lies beyond it stays'
);
select results_eq(
    $$
        select y.inserted, y.updated, y.removed
        from public.sync_external_busy(
            pg_temp.therapist(), 'home', jsonb_build_array(pg_temp.event('c', 32, '15:00')),
            pg_temp.at(0), pg_temp.at(90)
        ) as y
    $$,
    $$ values (1, 0, 0) $$,
    'another calendar has ids of its own, and takes nothing from this one'
);
select results_eq(
    $$
        select y.inserted, y.updated, y.removed
        from public.sync_external_busy(
            pg_temp.other_therapist(), 'work', jsonb_build_array(pg_temp.event('c', 32, '15:00'))
        ) as y
    $$,
    $$ values (1, 0, 0) $$,
    'and so has another therapist'
);
select results_eq(
    $$
        select y.inserted, y.updated, y.removed
        from public.sync_external_busy(pg_temp.therapist(), 'home', '[]', pg_temp.at(0), pg_temp.at(90)) as y
    $$,
    $$ values (0, 0, 1) $$,
    'a calendar that is empty now'
);
select results_eq(
    $$
        select y.inserted, y.updated, y.removed, y.session_ids
        from public.sync_external_busy(pg_temp.therapist(), 'home', '[]') as y
    $$,
    $$ values (0, 0, 0, '{}'::uuid[]) $$,
    'nothing to tell'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What they do
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok(
    $$ select pg_temp.book('x', pg_temp.client(), pg_temp.therapist(), 32, '15:30') $$,
    'PT409', 'Booking conflict: time slot unavailable', 'nothing can be booked over an appointment'
);
select results_eq(
    $$
        select d.detail ->> 'rule', d.detail ->> 'next_free'
        from (
            select pg_temp.detail_of(
                $a$ select pg_temp.book('x', pg_temp.client(), pg_temp.therapist(), 32, '15:30') $a$
            )
        ) as d (detail)
    $$,
    $$ values ('external', to_char(current_date + 32, 'YYYY-MM-DD"T16:00:00Z"')) $$,
    'the error says so, and what is free next'
);
select p.buffer_before_minutes
from public.set_policy('{"buffer_before_minutes": 30, "buffer_after_minutes": 10}', pg_temp.therapist()) as p;
select
    is(
        public.check_booking_conflict(pg_temp.therapist(), current_date + 32, c.start_time::time, c.end_time::time),
        c.expected, c.name
    )
from (
    values
    ('16:29', '17:00', true, 'a session needs its distance from it'),
    ('16:30', '17:00', false, 'half an hour after it'),
    ('14:00', '14:51', true, 'and'),
    ('14:00', '14:50', false, 'ten minutes before it')
) as c (start_time, end_time, expected, name);

-- Times in any offset, whatever the connection's zone.
set local timezone = 'America/New_York';
select y.inserted
from public.sync_external_busy(
    pg_temp.other_therapist(), 'zones',
    '[
        {"external_id": "1", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00.000Z"},
        {"external_id": "2", "start_time": "2030-01-07T09:00:00+05:45", "end_time": "2030-01-07T09:00:00-03"},
        {"external_id": "3", "start_time": "2030-01-07 09:00+0200", "end_time": "2030-01-07 10:00+0200"}
    ]'
) as y;
select results_eq(
    $$
        select c.period
        from bookingdb.calendar as c
        where c.external_source = 'zones'
        order by c.external_id
    $$,
    array[
        '[2030-01-07 09:00+00,2030-01-07 10:00+00)', '[2030-01-07 03:15+00,2030-01-07 12:00+00)',
        '[2030-01-07 07:00+00,2030-01-07 08:00+00)'
    ]::tstzrange[],
    'times say by themselves what they are ahead of UTC'
);
reset timezone;
select is(
    (
        select y.inserted
        from public.sync_external_busy(
            pg_temp.other_therapist(), 'many',
            (
                select jsonb_agg(pg_temp.event(n.number::text, n.number % 300, '12:00'))
                from generate_series(1, 5000) as n (number)
            )
        ) as y
    ), 5000, '5000 appointments'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.sync_external_busy(pg_temp.therapist(), %L, %L)', 'work', r.events),
        'PT400', 'Invalid parameter', coalesce(r.events, 'no events')
    )
from (
    values
    (null),
    ('null'),
    ('{}'),
    ('["a"]'),
    ('[null]'),
    ('[{}]'),
    ('[{"external_id": "a"}]'),
    ('[{"external_id": "a", "removed": "perhaps"}]'),
    ('[{"removed": true}]'),
    ('[{"external_id": "", "removed": true}]'),
    ('[{"external_id": null, "removed": true}]'),
    ('[{"external_id": "a", "start_time": "2030-01-07T09:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T09:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T08:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "2030-01-07T09:00:00", "end_time": "2030-01-07T10:00:00"}]'),
    ('[{"external_id": "a", "start_time": "2030-01-07", "end_time": "2030-01-08"}]'),
    ('[{"external_id": "a", "start_time": "2030-02-30T09:00:00Z", "end_time": "2030-03-01T09:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "2030-01-07T09:00:00 Europe/Berlin", "end_time": "2030-01-08T09:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "1899-12-31T09:00:00Z", "end_time": "1900-01-01T09:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "2999-12-31T09:00:00Z", "end_time": "3000-01-01T09:00:00Z"}]'),
    ('[{"external_id": "a", "start_time": "-infinity", "end_time": "infinity"}]'),
    ('[{"external_id": "a", "start_time": "now", "end_time": "tomorrow"}]'),
    ('[{"external_id": "a", "start_time": 1893488400, "end_time": 1893492000}]'),
    ('[{"external_id": "a", "removed": true}, {"external_id": "a", "removed": true}]'),
    (
        '[{"external_id": "a", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00Z"},
        {"external_id": "a", "removed": true}]'
    )
) as r (events);
select
    throws_ok(
        format(
            'select public.sync_external_busy(%s, %L, %L, %L, %L)', r.therapist_id, r.source, '[]', r.starts_at,
            r.ends_at
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', 'work', null, null, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.stranger()', 'work', null, null, 'PT404', 'Therapist not found', 'a therapist that nobody knows'),
    ('pg_temp.client()', 'work', null, null, 'PT404', 'Therapist not found', 'a client'),
    ('pg_temp.therapist()', null, null, null, 'PT400', 'Invalid parameter', 'no source'),
    ('pg_temp.therapist()', '', null, null, 'PT400', 'Invalid parameter', 'an empty source'),
    ('pg_temp.therapist()', repeat('s', 101), null, null, 'PT400', 'Invalid parameter', 'a source too long'),
    ('pg_temp.therapist()', 'work', '2030-01-07Z', null, 'PT400', 'Invalid parameter', 'a beginning without an end'),
    ('pg_temp.therapist()', 'adoption', null, null, 'PT400', 'Invalid parameter', 'a source of our own'),
    ('pg_temp.therapist()', 'work', null, '2030-01-07Z', 'PT400', 'Invalid parameter', 'an end without a beginning'),
    ('pg_temp.therapist()', 'work', '2030-01-08Z', '2030-01-07Z', 'PT400', 'Invalid parameter', 'the wrong way round'),
    ('pg_temp.therapist()', 'work', '-infinity', '2030-01-07Z', 'PT400', 'Invalid parameter', 'since ever'),
    ('pg_temp.therapist()', 'work', '2030-01-07Z', 'infinity', 'PT400', 'Invalid parameter', 'for ever')
) as r (therapist_id, source, starts_at, ends_at, sqlstate, message, name);
select throws_ok(
    $$
        select public.sync_external_busy(
            pg_temp.therapist(), 'work',
            (
                select jsonb_agg(pg_temp.event(n.number::text, n.number % 300, '12:00'))
                from generate_series(1, 5001) as n (number)
            )
        )
    $$,
    'PT400', 'Invalid parameter', '5001 appointments'
);
select is(
    pg_temp.detail_of(
        format(
            'select public.sync_external_busy(pg_temp.therapist(), %L, %L)', 'work',
            jsonb_build_array(pg_temp.event('a', 40, '10:00'), jsonb_build_object('external_id', repeat('x', 256)))
        )
    ),
    '{"code": "invalid_parameter", "parameter": "p_events", "event": 2}',
    'the error says which appointment it is'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

prepare busy as
select y.inserted
from public.sync_external_busy(
    pg_temp.therapist(), 'work', jsonb_build_array(pg_temp.event('z', 50, '10:00'))
) as y;

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('busy', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok('busy', 'PT403', 'Not allowed to act for this user', 'another therapist');
select pg_temp.claim(pg_temp.client());
select throws_ok('busy', 'PT403', 'Not allowed to act for this user', 'a client');
set local role anon;
select throws_ok('busy', '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select results_eq('busy', array[1], 'the application''s own server');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
