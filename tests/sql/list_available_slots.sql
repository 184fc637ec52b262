begin;
\ir include/setup.sql
select plan(82);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'list_available_slots', array['uuid', 'date', 'date', 'integer', 'text', 'integer']
);
select function_lang_is('public'::name, 'list_available_slots'::name, 'plpgsql'::name);
select function_returns('public'::name, 'list_available_slots'::name, 'setof record');
select volatility_is('public'::name, 'list_available_slots'::name, 'stable');
select isnt_definer('public'::name, 'list_available_slots'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist, in Kathmandu (five hours and three quarters ahead of UTC), is there on Mondays from nine to
-- twelve, every half an hour. The other one, in UTC, has no hours.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 50) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 50) as g;
select p.slot_step_minutes from public.set_policy('{"slot_step_minutes": 30}', pg_temp.therapist()) as p;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

-- The local times that are listed for a Monday.
create function pg_temp.times(p_minutes integer default 60, p_step integer default null, p_week integer default 0)
returns text language plpgsql stable as $function$
declare
    v_date constant date := pg_temp.monday() + 7 * p_week;
begin
    return (
        select coalesce(string_agg(to_char(s.local_time, 'HH24:MI'), ' ' order by s.start_time), '')
        from public.list_available_slots(
            pg_temp.therapist(), v_date, v_date, p_minutes, p_step_minutes => p_step
        ) as s
    );
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- What is listed
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select s.start_time, s.end_time, s.local_date, s.local_time
        from public.list_available_slots(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 6, 90) as s
    $$,
    $$
        select
            (pg_temp.monday() + t.local_time) at time zone 'Asia/Kathmandu',
            (pg_temp.monday() + t.local_time) at time zone 'Asia/Kathmandu' + interval '90 minutes',
            pg_temp.monday(), t.local_time
        from (values (time '09:00'), ('09:30'), ('10:00'), ('10:30')) as t (local_time)
    $$,
    'instants and local times, in order; the whole session lies in the hours'
);
select is(pg_temp.times(), '09:00 09:30 10:00 10:30 11:00', 'an hour by default');
select is(pg_temp.times(180), '09:00', 'a session as long as the window');
select is(pg_temp.times(60, 60), '09:00 10:00 11:00', 'another step');
select is(pg_temp.times(60, 45), '09:00 09:45 10:30', 'counted from midnight, not from the beginning of the window');
select is(pg_temp.times(60, 100), '10:00', 'a step that does not divide the hour');
select is(pg_temp.times(60, 1440), '', 'midnight is not in the hours');
select p.slot_offset_minutes from public.set_policy('{"slot_offset_minutes": 10}', pg_temp.therapist()) as p;
select is(pg_temp.times(), '09:10 09:40 10:10 10:40', 'from an offset on');
select is(pg_temp.times(60, 60), '09:10 10:10', 'also with another step');
select is(
    pg_temp.times(60, 15), '09:10 09:25 09:40 09:55 10:10 10:25 10:40 10:55', 'a finer grid'
);
select p.slot_offset_minutes from public.set_policy('{"slot_offset_minutes": null}', pg_temp.therapist()) as p;
select results_eq(
    $$
        select s.local_date - pg_temp.monday(), s.local_time
        from public.list_available_slots(
            pg_temp.therapist(), pg_temp.monday() - 1, pg_temp.monday() - 1, p_time_zone => 'America/New_York'
        ) as s
    $$,
    $$
        select (s.local_time::date) - pg_temp.monday(), s.local_time::time
        from (
            select (pg_temp.monday() + t.local_time) at time zone 'Asia/Kathmandu' at time zone 'America/New_York'
            from (values (time '09:00'), ('09:30'), ('10:00'), ('10:30'), ('11:00')) as t (local_time)
        ) as s (local_time)
        where s.local_time::date = pg_temp.monday() - 1
    $$,
    'dates and times of another zone: which slots there are stays the therapist''s'
);
select is(
    (
        select count(*)
        from public.list_available_slots(pg_temp.other_therapist(), current_date + 30, current_date + 30)
    ), 96::bigint, 'without hours it is every quarter of an hour of a day'
);
select is(
    (
        select count(*) from public.list_available_slots(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 34)
    ), 25::bigint, 'five Mondays'
);
set local timezone = 'Pacific/Apia';
select is(pg_temp.times(), '09:00 09:30 10:00 10:30 11:00', 'whatever the zone of the connection');
reset timezone;

-- ---------------------------------------------------------------------------------------------------------------------
-- What takes slots away
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book('ten', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() - current_date, '10:00');
select is(pg_temp.times(), '09:00 11:00', 'a session');
select is(pg_temp.times(30), '09:00 09:30 11:00 11:30', 'less, when less is asked for');
select p.buffer_before_minutes from public.set_policy('{"buffer_before_minutes": 10}', pg_temp.therapist()) as p;
select is(pg_temp.times(50, 5), '09:00 09:05 09:10 11:10', 'a buffer before a new session');
select p.buffer_before_minutes
from public.set_policy('{"buffer_before_minutes": 0, "buffer_after_minutes": 15}', pg_temp.therapist()) as p;
select is(pg_temp.times(30, 5), '09:00 09:05 09:10 09:15 11:00 11:05 11:10 11:15 11:20 11:25 11:30', 'or behind it');
select c.status from public.cancel_session(pg_temp.session('ten')) as c;
select pg_temp.book('ten again', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() - current_date, '10:00');
select is(
    pg_temp.times(30, 5), '09:00 09:05 09:10 09:15 11:15 11:20 11:25 11:30',
    'a session keeps the buffer of the day on which it was booked'
);
select p.buffer_after_minutes from public.set_policy('{"buffer_after_minutes": 0}', pg_temp.therapist()) as p;
select c.status from public.cancel_session(pg_temp.session('ten again')) as c;
select is(pg_temp.times(), '09:00 09:30 10:00 10:30 11:00', 'what is cancelled is free again');

create temporary table hold on commit drop as
select h.id
from public.hold_slot(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '09:00') as h;
select is(pg_temp.times(), '10:00 10:30 11:00', 'a hold');
update bookingdb.calendar as c set expires_at = now() - interval '1 second'
from hold as h
where c.id = h.id;
select is(pg_temp.times(), '09:00 09:30 10:00 10:30 11:00', 'until it expires');

create temporary table time_off on commit drop as
select t.id
from public.add_time_off(
    pg_temp.therapist(), (pg_temp.monday() + time '08:00') at time zone 'Asia/Kathmandu',
    (pg_temp.monday() + time '09:45') at time zone 'Asia/Kathmandu'
) as t;
select is(pg_temp.times(), '10:00 10:30 11:00', 'time off');
select y.inserted
from public.sync_external_busy(
    pg_temp.therapist(), 'calendar',
    jsonb_build_array(
        jsonb_build_object(
            'external_id', 'a',
            'start_time', (pg_temp.monday() + time '11:00') at time zone 'Asia/Kathmandu',
            'end_time', (pg_temp.monday() + time '11:10') at time zone 'Asia/Kathmandu'
        )
    )
) as y;
select is(pg_temp.times(), '10:00', 'an external appointment');
select is(pg_temp.times(p_week => 1), '09:00 09:30 10:00 10:30 11:00', 'none of which touches the week after');
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 7, '[]') as d;
select is(pg_temp.times(p_week => 1), '', 'a closed date');
select d.override_date
from public.set_date_override(
    pg_temp.therapist(), pg_temp.monday() + 7, '[{"start_time": "23:30", "end_time": "00:45"}]'
) as d;
select is(pg_temp.times(p_week => 1), '23:30', 'a window across midnight');
select is(pg_temp.times(30, 15, 1), '23:30 23:45', 'on the date that was asked for');
select results_eq(
    $$
        select s.local_time
        from public.list_available_slots(
            pg_temp.therapist(), pg_temp.monday() + 8, pg_temp.monday() + 8, 30, p_step_minutes => 15
        ) as s
    $$,
    array['00:00', '00:15']::time[],
    'its rest is on the next one'
);
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 7) as d;

-- ---------------------------------------------------------------------------------------------------------------------
-- Limits a day and a week
-- ---------------------------------------------------------------------------------------------------------------------

select p.maximum_sessions_per_day from public.set_policy('{"maximum_sessions_per_day": 2}', pg_temp.therapist()) as p;
select pg_temp.book('one', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 7 - current_date, '09:00');
select is(pg_temp.times(p_week => 1), '10:00 10:30 11:00', 'one of two');
select h.id
from public.hold_slot(pg_temp.other_client(), pg_temp.therapist(), pg_temp.monday() + 7, '10:00') as h;
select is(pg_temp.times(p_week => 1), '', 'a session and a hold: the day is full');
select is(pg_temp.times(p_week => 2), '09:00 09:30 10:00 10:30 11:00', 'and no other');
select p.maximum_sessions_per_day
from public.set_policy(
    '{"maximum_sessions_per_day": null, "maximum_sessions_per_week": 2}', pg_temp.therapist()
) as p;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(),
    '[
        {"weekday": 1, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 7, "start_time": "09:00", "end_time": "10:00"}
    ]'
) as h;
select results_eq(
    $$
        select s.local_date - pg_temp.monday()
        from public.list_available_slots(
            pg_temp.therapist(), pg_temp.monday() + 6, pg_temp.monday() + 14, p_step_minutes => 60
        ) as s
    $$,
    array[6, 14, 14, 14],
    'a week is full from Monday to Sunday'
);
select p.maximum_sessions_per_week
from public.set_policy('{"maximum_sessions_per_week": null}', pg_temp.therapist()) as p;

-- ---------------------------------------------------------------------------------------------------------------------
-- Notice and horizon
-- ---------------------------------------------------------------------------------------------------------------------

select is(
    (
        select min(s.start_time) >= now()
        from public.list_available_slots(pg_temp.other_therapist(), current_date - 1, current_date + 1) as s
    ), true, 'nothing that is over'
);
select is_empty(
    $$
        select s.*
        from public.list_available_slots(pg_temp.other_therapist(), current_date - 9, current_date - 2) as s
    $$,
    'dates that are over'
);
select p.minimum_notice
from public.set_policy(
    '{"minimum_notice": "47 hours 30 minutes", "maximum_advance": "10 days"}', pg_temp.other_therapist()
) as p;
select results_eq(
    $$
        select
            min(s.start_time) >= now() + interval '2850 minutes'
            and min(s.start_time) <= clock_timestamp() + interval '2865 minutes',
            max(s.start_time) <= clock_timestamp() + interval '240 hours'
            and max(s.start_time) >= now() + interval '240 hours' - interval '15 minutes'
        from public.list_available_slots(pg_temp.other_therapist(), current_date, current_date + 30) as s
    $$,
    'values (true, true)',
    'the notice and the horizon of the policy'
);
select is_empty(
    $$
        select s.*
        from public.list_available_slots(pg_temp.other_therapist(), current_date + 12, current_date + 300) as s
    $$,
    'dates beyond the horizon'
);
select p.minimum_notice
from public.set_policy('{"minimum_notice": "11 days"}', pg_temp.other_therapist()) as p;
select is_empty(
    $$ select s.* from public.list_available_slots(pg_temp.other_therapist(), current_date, current_date + 30) as s $$,
    'a notice that is longer than the horizon'
);
select p.require_hours
from public.set_policy(
    '{"minimum_notice": null, "maximum_advance": "400 days", "require_hours": true}', pg_temp.other_therapist()
) as p;
select is_empty(
    $$ select s.* from public.list_available_slots(pg_temp.other_therapist(), current_date, current_date + 30) as s $$,
    'who must have hours and has none is never there'
);
select p.require_hours from public.set_policy('{"require_hours": null}', pg_temp.other_therapist()) as p;

-- ---------------------------------------------------------------------------------------------------------------------
-- Clock changes
-- ---------------------------------------------------------------------------------------------------------------------

-- The slots of the day of a change, with the time that has passed since midnight.
create function pg_temp.around_change(
    p_time_zone text, p_forward boolean, p_first time, p_last time, p_step integer
) returns table (local_time text, since_midnight interval) language plpgsql stable as $function$
declare
    v_date constant date := pg_temp.clock_change(p_time_zone, p_forward);
begin
    return query
    select to_char(s.local_time, 'HH24:MI'), s.start_time - v_date::timestamp at time zone p_time_zone
    from public.list_available_slots(pg_temp.other_therapist(), v_date, v_date, 15, p_time_zone, p_step) as s
    where s.local_time between p_first and p_last
    order by s.start_time;
end;
$function$;

select p.time_zone from public.set_policy('{"time_zone": "Europe/Berlin"}', pg_temp.other_therapist()) as p;
select results_eq(
    $$ select a.* from pg_temp.around_change('Europe/Berlin', true, '01:00', '04:00', 30) as a $$,
    $$
        values
        ('01:00', interval '01:00'), ('01:30', '01:30'), ('03:00', '02:00'), ('03:30', '02:30'),
        ('04:00', '03:00')
    $$,
    'an hour that the clocks jump over is not offered'
);
select results_eq(
    $$ select a.* from pg_temp.around_change('Europe/Berlin', false, '01:30', '03:00', 30) as a $$,
    $$
        values
        ('01:30', interval '01:30'), ('02:00', '02:00'), ('02:30', '02:30'), ('02:00', '03:00'),
        ('02:30', '03:30'), ('03:00', '04:00')
    $$,
    'an hour that occurs twice is offered twice'
);
select
    is(
        (
            select count(*)
            from public.list_available_slots(
                pg_temp.other_therapist(), c.local_date, c.local_date, 15, 'Europe/Berlin', 60
            )
        ),
        c.expected, format('a day of %s hours', c.expected)
    )
from (
    values
    (pg_temp.clock_change('Europe/Berlin', true), 23::bigint), (pg_temp.clock_change('Europe/Berlin', false), 25)
) as c (local_date, expected);
select p.time_zone from public.set_policy('{"time_zone": "Australia/Lord_Howe"}', pg_temp.other_therapist()) as p;
select results_eq(
    $$ select a.* from pg_temp.around_change('Australia/Lord_Howe', true, '01:30', '03:00', 15) as a $$,
    $$
        values
        ('01:30', interval '01:30'), ('01:45', '01:45'), ('02:30', '02:00'), ('02:45', '02:15'),
        ('03:00', '02:30')
    $$,
    'clocks that jump by half an hour'
);
select results_eq(
    $$ select a.* from pg_temp.around_change('Australia/Lord_Howe', false, '01:30', '02:00', 15) as a $$,
    $$
        values
        ('01:30', interval '01:30'), ('01:45', '01:45'), ('01:30', '02:00'), ('01:45', '02:15'),
        ('02:00', '02:30')
    $$,
    'and back'
);
-- A step that does not divide the hour (or the half) by which the clocks are changed: the clock on the wall counts.
select results_eq(
    $$ select a.* from pg_temp.around_change('Australia/Lord_Howe', true, '01:00', '03:00', 60) as a $$,
    $$ values ('01:00', interval '01:00'), ('03:00', '02:30') $$,
    'full hours before and after half an hour that is jumped over'
);
select results_eq(
    $$ select a.* from pg_temp.around_change('Australia/Lord_Howe', false, '01:00', '03:00', 60) as a $$,
    $$ values ('01:00', interval '01:00'), ('02:00', '02:30'), ('03:00', '03:30') $$,
    'and half an hour that occurs twice'
);
select p.time_zone from public.set_policy('{"time_zone": "Europe/Berlin"}', pg_temp.other_therapist()) as p;
select results_eq(
    $$ select a.* from pg_temp.around_change('Europe/Berlin', true, '01:00', '05:00', 90) as a $$,
    $$ values ('01:30', interval '01:30'), ('03:00', '02:00'), ('04:30', '03:30') $$,
    'every hour and a half in spring'
);
select results_eq(
    $$ select a.* from pg_temp.around_change('Europe/Berlin', false, '01:00', '05:00', 90) as a $$,
    $$ values ('01:30', interval '01:30'), ('03:00', '04:00'), ('04:30', '05:30') $$,
    'and in autumn'
);
-- Every one of them can be booked: the second of two as well, by an instant of another zone.
select p.time_zone from public.set_policy('{"time_zone": "Europe/Berlin"}', pg_temp.other_therapist()) as p;
select lives_ok(
    $$
        select b.id
        from public.list_available_slots(
            pg_temp.other_therapist(), pg_temp.clock_change('Europe/Berlin', false),
            pg_temp.clock_change('Europe/Berlin', false), 30, 'UTC', 30
        ) as s
        cross join lateral public.create_session_with_credit_deduction(
            pg_temp.other_client(), pg_temp.other_therapist(), s.local_date, s.local_time, 30, p_time_zone => 'UTC'
        ) as b
        where s.local_time < '04:00'
    $$,
    'what is listed around a clock change can be booked'
);
select is_empty(
    $$
        select s.*
        from public.list_available_slots(
            pg_temp.other_therapist(), pg_temp.clock_change('Europe/Berlin', false),
            pg_temp.clock_change('Europe/Berlin', false), 30, 'UTC'
        ) as s
        where s.local_time < '04:00'
    $$,
    'and is gone then'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- List, check and booking say the same
-- ---------------------------------------------------------------------------------------------------------------------

-- Whether a booking goes through; it is undone.
create function pg_temp.can_be_booked(p_date date, p_time time, p_minutes integer) returns boolean language plpgsql
as $function$
begin
    perform public.create_session_with_credit_deduction(
        pg_temp.other_client(), pg_temp.therapist(), p_date, p_time, p_minutes
    );
    raise exception 'done';
exception
    when others then
        return sqlerrm = 'done';
end;
$function$;

select p.slot_step_minutes
from public.set_policy('{"slot_step_minutes": 15, "buffer_after_minutes": 5}', pg_temp.therapist()) as p;
select pg_temp.book('nine', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() + 21 - current_date, '09:15');
select results_eq(
    $$
        select s.local_time
        from public.list_available_slots(pg_temp.therapist(), pg_temp.monday() + 21, pg_temp.monday() + 21, 45) as s
    $$,
    $$
        select (time '00:00' + n.number * interval '15 minutes')::time
        from generate_series(0, 92) as n (number)
        where not public.check_booking_conflict(
            pg_temp.therapist(), pg_temp.monday() + 21, (time '00:00' + n.number * interval '15 minutes')::time,
            (time '00:45' + n.number * interval '15 minutes')::time
        )
        order by n.number
    $$,
    'what is listed is what is not busy'
);
select results_eq(
    $$
        select s.local_time
        from public.list_available_slots(pg_temp.therapist(), pg_temp.monday() + 21, pg_temp.monday() + 21, 45) as s
    $$,
    $$
        select (time '00:00' + n.number * interval '15 minutes')::time
        from generate_series(0, 92) as n (number)
        where pg_temp.can_be_booked(
            pg_temp.monday() + 21, (time '00:00' + n.number * interval '15 minutes')::time, 45
        )
        order by n.number
    $$,
    'what is listed is what can be booked'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select p.minimum_duration_minutes
from public.set_policy(
    '{"minimum_duration_minutes": 30, "maximum_duration_minutes": 120}', pg_temp.therapist()
) as p;
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format(
            'select public.list_available_slots(%s, %L, %L, %L, %L, %L)', r.therapist_id, r.first_date, r.last_date,
            r.minutes, r.time_zone, r.step
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', '2030-01-07', '2030-01-07', 60, null, null, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.stranger()', '2030-01-07', '2030-01-07', 60, null, null, 'PT404', 'Therapist not found', 'nobody''s id'),
    ('pg_temp.client()', '2030-01-07', '2030-01-07', 60, null, null, 'PT404', 'Therapist not found', 'a client'),
    ('pg_temp.therapist()', null, '2030-01-07', 60, null, null, 'PT400', 'Invalid date format', 'no beginning'),
    ('pg_temp.therapist()', '2030-01-07', null, 60, null, null, 'PT400', 'Invalid date format', 'no end'),
    ('pg_temp.therapist()', '-infinity', '2030-01-07', 60, null, null, 'PT400', 'Invalid date format', 'since ever'),
    ('pg_temp.therapist()', '2030-01-07', '3000-01-01', 60, null, null, 'PT400', 'Invalid date format', 'too late'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-06', 60, null, null, 'PT400', 'Invalid parameter', 'backwards'),
    ('pg_temp.therapist()', '2030-01-07', '2031-01-08', 60, null, null, 'PT400', 'Invalid parameter', '367 days'),
    (
        'pg_temp.therapist()', '2030-01-07', '2030-01-07', null, null, null,
        'PT400', 'Duration must be 15-180 minutes', 'no duration'
    ),
    (
        'pg_temp.therapist()', '2030-01-07', '2030-01-07', 29, null, null,
        'PT400', 'Duration must be 15-180 minutes', 'less than the policy allows'
    ),
    (
        'pg_temp.therapist()', '2030-01-07', '2030-01-07', 121, null, null,
        'PT400', 'Duration must be 15-180 minutes', 'more than the policy allows'
    ),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-07', 60, 'Mars+5', null, 'PT400', 'Invalid time zone', 'Mars'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-07', 60, null, 0, 'PT400', 'Invalid parameter', 'no step'),
    ('pg_temp.therapist()', '2030-01-07', '2030-01-07', 60, null, 1441, 'PT400', 'Invalid parameter', 'too long a step')
) as r (therapist_id, first_date, last_date, minutes, time_zone, step, sqlstate, message, name);
select lives_ok(
    $$ select public.list_available_slots(pg_temp.therapist(), '2030-01-07', '2031-01-07') $$, '366 days'
);
select is(
    pg_temp.detail_of(
        $$ select public.list_available_slots(pg_temp.therapist(), '2030-01-07', '2031-01-08') $$
    ),
    '{"code": "invalid_parameter", "parameter": "p_to", "maximum_days": 366}', 'the error says how many there may be'
);
select public.set_therapist_active(pg_temp.therapist(), false);
select throws_ok(
    $$ select public.list_available_slots(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday()) $$,
    'PT404', 'Therapist not found', 'who cannot be booked has no slots'
);
select public.set_therapist_active(pg_temp.therapist(), true);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may ask
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(null);
select throws_ok('select pg_temp.times()', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.stranger());
select is(pg_temp.times(), '09:45', 'every logged-in user');
set local role anon;
select throws_ok('select pg_temp.times()', '42501', null, 'nobody without a login');
set local role service_role;
select is(pg_temp.times(), '09:45', 'the application''s own server');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
