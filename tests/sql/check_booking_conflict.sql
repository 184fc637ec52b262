begin;
\ir include/setup.sql
select plan(37);

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
