begin;
\ir include/setup.sql
select plan(71);

select has_function(
    'public', 'check_booking_conflict',
    array['uuid', 'date', 'time without time zone', 'time without time zone', 'text', 'uuid']
);
select function_lang_is('public'::name, 'check_booking_conflict'::name, 'plpgsql'::name);
select function_returns('public'::name, 'check_booking_conflict'::name, 'boolean');
select volatility_is('public'::name, 'check_booking_conflict'::name, 'stable');
select isnt_definer('public'::name, 'check_booking_conflict'::name);

-- A therapist in Berlin with a session from 23:30 to 00:30.
select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
create temporary table booked on commit drop as
select b.id
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.therapist(), current_date + 30, '23:30'
) as b;

prepare busy (date, time, time, text, uuid) as
select public.check_booking_conflict(pg_temp.therapist(), $1, $2, $3, $4, $5);

select
    results_eq(
        format('execute busy(current_date + %s, %L, %L, %L, null)', c.day, c.start_time, c.end_time, c.time_zone),
        array[c.expected],
        format('day %s, %s to %s %s', c.day, c.start_time, c.end_time, c.time_zone)
    )
from (
    values
    (30, '23:30', '00:30', null, true),
    (30, '23:00', '23:45', null, true),
    (31, '00:00', '01:00', null, true),
    (30, '22:30', '23:30', null, false),
    (31, '00:30', '01:30', null, false),
    (29, '23:30', '00:30', null, false),
    -- The end equals the start: a whole day.
    (30, '12:00', '12:00', null, true),
    (31, '12:00', '12:00', null, false),
    -- Elsewhere it is another time.
    (30, '23:30', '23:59', 'Pacific/Auckland', false),
    (-365, '10:00', '11:00', null, false)
) as c (day, start_time, end_time, time_zone, expected);

select results_eq(
    format('execute busy(current_date + 30, %L, %L, null, %L)', '23:30', '00:30', (select b.id from booked as b)),
    array[false],
    'the session that is to be moved is not in its own way'
);

insert into bookingdb.calendar (kind, therapist_id, period, blocked, expires_at)
select
    c.kind,
    pg_temp.therapist() as therapist_id,
    c.period,
    c.period as blocked,
    c.expires_at
from (
    select
        k.kind,
        k.expires_at,
        tstzrange(
            (current_date + k.day + time '10:00') at time zone 'Europe/Berlin',
            (current_date + k.day + time '11:00') at time zone 'Europe/Berlin'
        ) as period
    from (
        values
        (40, 'hold', clock_timestamp() + interval '10 minutes'),
        (41, 'hold', clock_timestamp() - interval '10 minutes'),
        (42, 'time_off', null),
        (43, 'external', null),
        (-30, 'external', null)
    ) as k (day, kind, expires_at)
) as c;
select
    results_eq(
        format('execute busy(current_date + %s, %L, %L, null, null)', c.day, '10:30', '11:30'), array[c.expected],
        c.name
    )
from (
    values
    (40, true, 'a hold is in the way'),
    (41, false, 'a hold that has run out is not'),
    (42, true, 'time off is in the way'),
    (43, true, 'an external appointment is in the way'),
    (-30, true, 'one that is over was in the way')
) as c (day, expected, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Hours, buffers, limits. Notice and horizon are for bookings.
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 10) as g;

prepare other_busy (integer, time, time) as
select public.check_booking_conflict(pg_temp.other_therapist(), pg_temp.monday() + $1, $2, $3) as is_busy;

select results_eq($$ execute other_busy(4000, '10:00', '11:00') $$, array[false], 'beyond the horizon');
select h.weekday
from public.set_weekly_hours(
    pg_temp.other_therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;
select d.override_date from public.set_date_override(pg_temp.other_therapist(), pg_temp.monday() + 7, '[]') as d;
select pg_temp.book(
    'ten', pg_temp.other_client(), pg_temp.other_therapist(), pg_temp.monday() + 14 - current_date, '10:00'
);
select p.buffer_before_minutes
from public.set_policy('{"buffer_before_minutes": 10, "buffer_after_minutes": 5}', pg_temp.other_therapist()) as p;
select p.maximum_sessions_per_week
from public.set_policy('{"maximum_sessions_per_week": 1}', pg_temp.therapist()) as p;
select
    results_eq(
        format('execute other_busy(%s, %L, %L)', c.day, c.start_time, c.end_time), array[c.expected], c.name
    )
from (
    values
    (0, '09:00', '10:00', false, 'within the hours'),
    (0, '08:00', '09:00', true, 'outside of them'),
    (0, '11:30', '12:30', true, 'half outside'),
    (1, '09:00', '10:00', true, 'a day without hours'),
    (7, '09:00', '10:00', true, 'a closed date'),
    (14, '09:00', '09:55', false, 'five minutes before a session'),
    (14, '09:00', '09:56', true, 'closer to it'),
    (14, '11:10', '12:00', false, 'ten minutes after it'),
    (14, '11:09', '12:00', true, 'sooner after it')
) as c (day, start_time, end_time, expected, name);
select is(
    public.check_booking_conflict(
        pg_temp.therapist(), current_date + 31 - extract(isodow from current_date + 30)::integer, '10:00', '11:00'
    ), true, 'the week of a session is full'
);
select is(
    public.check_booking_conflict(
        pg_temp.therapist(), current_date + 31 - extract(isodow from current_date + 30)::integer, '10:00', '11:00',
        p_exclude_session_id => (select b.id from booked as b)
    ), false, 'but for the session that is to be moved'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Windows whose ends fall on clock changes, of years that are known
-- ---------------------------------------------------------------------------------------------------------------------

-- With a window on a date of a zone: when, in UTC, the first session of a quarter of an hour can start, when the last
-- one ends, and how many there are.
create function pg_temp.open_times(p_time_zone text, p_date date, p_start text, p_end text) returns text
language plpgsql as $function$
declare
    v_times text;
begin
    perform public.set_policy(
        jsonb_build_object('time_zone', p_time_zone, 'buffer_before_minutes', 0, 'buffer_after_minutes', 0),
        pg_temp.other_therapist()
    );
    perform public.set_date_override(
        pg_temp.other_therapist(), p_date,
        jsonb_build_array(jsonb_build_object('start_time', p_start, 'end_time', p_end))
    );
    select concat_ws(
        ' ',
        to_char(min(q.start), 'DD HH24:MI'),
        to_char(max(q.start) + interval '15 minutes', 'DD HH24:MI'),
        count(*)
    )
    into v_times
    from generate_series(p_date - interval '24 hours', p_date + interval '48 hours', '15 minutes') as q (start)
    where not public.check_booking_conflict(
        pg_temp.other_therapist(), q.start::date, q.start::time, (q.start + interval '15 minutes')::time, 'UTC'
    );
    perform public.set_date_override(pg_temp.other_therapist(), p_date);
    return v_times;
end;
$function$;

-- Only the date counts.
select h.weekday
from public.set_weekly_hours(
    pg_temp.other_therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00", "valid_to": "1990-01-01"}]'
) as h;
select is(pg_temp.open_times(c.time_zone, c.local_date, c.start_time, c.end_time), c.expected, c.name)
from (
    values
    ('Europe/Berlin', date '2024-03-31', '01:00', '04:00', '31 00:00 31 02:00 8', 'an hour less in spring'),
    ('Europe/Berlin', '2024-03-31', '01:00', '02:30', '31 00:00 31 01:00 4', 'an end in the gap is the jump'),
    ('Europe/Berlin', '2024-03-31', '02:30', '04:00', '31 01:00 31 02:00 4', 'so is a start'),
    ('Europe/Berlin', '2024-03-31', '02:00', '03:00', '0', 'a window of the gap alone is none'),
    ('Europe/Berlin', '2024-03-31', '02:15', '02:45', '0', 'nor is one inside of it'),
    ('Europe/Berlin', '2024-03-31', '00:00', '24:00', '30 23:00 31 22:00 92', 'a day of 23 hours'),
    ('Europe/Berlin', '2024-03-30', '22:00', '02:30', '30 21:00 31 01:00 16', 'from the day before into the gap'),
    ('Europe/Berlin', '2024-10-27', '01:00', '04:00', '26 23:00 27 03:00 16', 'an hour more in autumn'),
    ('Europe/Berlin', '2024-10-27', '02:00', '03:00', '27 00:00 27 02:00 8', 'both hours that are two o''clock'),
    ('Europe/Berlin', '2024-10-27', '01:00', '02:30', '26 23:00 27 00:30 6', 'an end that occurs twice is the first'),
    ('Europe/Berlin', '2024-10-27', '02:30', '04:00', '27 00:30 27 03:00 10', 'so is a start'),
    ('Europe/Berlin', '2024-10-27', '00:00', '00:00', '26 22:00 27 23:00 100', 'a day of 25 hours'),
    ('America/New_York', '2024-11-02', '23:00', '01:30', '03 03:00 03 05:30 10', 'from the day before into the first'),
    ('Australia/Lord_Howe', '2024-10-06', '01:30', '02:15', '05 15:00 05 15:30 2', 'half an hour forward'),
    ('Australia/Lord_Howe', '2024-04-07', '01:45', '02:15', '06 14:45 06 15:45 4', 'half an hour back'),
    ('Pacific/Chatham', '2024-09-29', '02:00', '04:00', '28 13:15 28 14:15 4', 'a jump at a quarter to three'),
    ('Asia/Kathmandu', '2024-03-31', '09:00', '10:00', '31 03:15 31 04:15 4', 'quarters of an hour from UTC'),
    ('Pacific/Apia', '2011-12-29', '22:00', '24:00', '30 08:00 30 10:00 8', 'the evening before a date left out'),
    ('Pacific/Apia', '2011-12-29', '22:00', '02:00', '30 08:00 30 10:00 8', 'what reaches into that date'),
    ('Pacific/Apia', '2011-12-30', '09:00', '17:00', '0', 'that date'),
    ('Pacific/Apia', '2011-12-31', '00:00', '02:00', '30 10:00 30 12:00 8', 'the morning after it'),
    ('Africa/Casablanca', '2024-03-10', '02:00', '04:00', '10 01:00 10 04:00 12', 'clocks that go back for Ramadan')
) as c (time_zone, local_date, start_time, end_time, expected, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format(
            'select public.check_booking_conflict(%L, %L, %L, %L, %L)',
            r.therapist_id, r.session_date, r.start_time, r.end_time, r.time_zone
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, '2030-01-07', '10:00', '11:00', null, 'PT400', 'Invalid therapist ID format', 'no therapist'),
    (pg_temp.therapist(), null, '10:00', '11:00', null, 'PT400', 'Invalid date format', 'no date'),
    (pg_temp.therapist(), 'infinity', '10:00', '11:00', null, 'PT400', 'Invalid date format', 'an endless date'),
    (pg_temp.therapist(), '3000-01-01', '10:00', '11:00', null, 'PT400', 'Invalid date format', 'a date too late'),
    (pg_temp.therapist(), '2030-01-07', null, '11:00', null, 'PT400', 'Invalid time format', 'no start'),
    (pg_temp.therapist(), '2030-01-07', '10:00', null, null, 'PT400', 'Invalid time format', 'no end'),
    (
        pg_temp.therapist(), '2030-01-07', '10:00:30', '11:00', null,
        'PT400', 'Invalid time format', 'a start with seconds'
    ),
    (pg_temp.therapist(), '2030-01-07', '10:00', '24:00', null, 'PT400', 'Invalid time format', 'an end at 24:00'),
    (
        pg_temp.therapist(), '2030-01-07', '10:00', '11:00', 'Mars+5',
        'PT400', 'Invalid time zone', 'no zone of this world'
    ),
    (
        pg_temp.therapist(), '2030-03-31', '01:30', '02:30', null,
        'PT400', 'Invalid time: skipped by a clock change', 'a skipped end'
    ),
    (pg_temp.stranger(), '2030-01-07', '10:00', '11:00', null, 'PT404', 'Therapist not found', 'nobody''s id'),
    (pg_temp.client(), '2030-01-07', '10:00', '11:00', null, 'PT404', 'Therapist not found', 'a client''s id')
) as r (therapist_id, session_date, start_time, end_time, time_zone, sqlstate, message, name);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may ask, and what asking does not do
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table locks on commit drop as
select count(*) as number
from pg_locks as l
where l.locktype = 'advisory' and l.pid = pg_backend_pid();

set local role authenticated;
select throws_ok(
    $$ execute busy(current_date + 30, '23:30', '00:30', null, null) $$, 'PT401', 'Not authenticated', 'nobody asks'
);
select pg_temp.claim(pg_temp.stranger());
select results_eq(
    $$ execute busy(current_date + 30, '23:30', '00:30', null, null) $$, array[true], 'a stranger gets the same answer'
);
set local role anon;
select throws_ok(
    $$ execute busy(current_date + 30, '23:30', '00:30', null, null) $$, '42501', null, 'nobody without a login'
);
reset role;

select is(
    (
        select count(*) from pg_locks as l
        where l.locktype = 'advisory' and l.pid = pg_backend_pid()
    ),
    (select l.number from locks as l),
    'no lock was taken'
);

select * from finish();
rollback;
