begin;
\ir include/setup.sql
select plan(87);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'set_policy',
    array['jsonb', 'uuid']
);
select function_lang_is('public'::name, 'set_policy'::name, 'plpgsql'::name);
select function_returns('public'::name, 'set_policy'::name, 'setof record');
select volatility_is('public'::name, 'set_policy'::name, 'volatile');
select isnt_definer('public'::name, 'set_policy'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the first therapist has a zone of its own
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Europe/Berlin');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist());
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;

-- What single therapists have, as it is written.
prepare own_settings as
select
    p.time_zone,
    p.minimum_duration_minutes,
    p.maximum_duration_minutes,
    p.cancellation_window,
    p.refund_grace,
    p.hold_lifetime
from bookingdb.policies as p
where p.therapist_id = pg_temp.therapist();

-- ---------------------------------------------------------------------------------------------------------------------
-- Settings of a therapist
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select p.*
        from public.set_policy(
            '{"cancellation_window": "48 hours", "maximum_duration_minutes": 90}', pg_temp.therapist()
        ) as p
    $$,
    $$
        values (
            pg_temp.therapist(), 'Europe/Berlin', 15, 90, interval '48 hours', interval '30 days', interval '5 minutes',
            0, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
    'returns what holds for the therapist now'
);
select results_eq(
    'own_settings',
    $$
        values ('Europe/Berlin', null::integer, 90, interval '48 hours', null::interval, null::interval)
    $$,
    'writes the settings that are named, and no others'
);
select results_eq(
    $$
        select p.maximum_duration_minutes, p.cancellation_window
        from public.get_policy(pg_temp.other_therapist()) as p
    $$,
    $$ values (180, interval '24 hours') $$,
    'nothing changes for another therapist'
);
select results_eq(
    $$
        select p.maximum_duration_minutes, p.cancellation_window
        from public.set_policy('{"cancellation_window": null}', pg_temp.therapist()) as p
    $$,
    $$ values (90, interval '24 hours') $$,
    'null means: as the default says'
);
select results_eq(
    $$
        select p.*
        from public.set_policy(
            '{
                "time_zone": "Asia/Kathmandu", "minimum_duration_minutes": "30", "maximum_duration_minutes": 60,
                "cancellation_window": "0", "refund_grace": "1 day", "hold_lifetime": "00:00:10"
            }',
            pg_temp.therapist()
        ) as p
    $$,
    $$
        values (
            pg_temp.therapist(), 'Asia/Kathmandu', 30, 60, interval '0', interval '1 day', interval '10 seconds',
            0, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
    'all at once'
);
select results_eq(
    $$
        select p.time_zone, p.minimum_duration_minutes, p.refund_grace
        from public.set_policy('{}', pg_temp.other_therapist()) as p
    $$,
    $$ values ('UTC', 15, interval '30 days') $$,
    'nothing at all'
);
select results_eq(
    $$
        select p.*
        from public.set_policy(
            '{
                "time_zone": null, "minimum_duration_minutes": null, "maximum_duration_minutes": null,
                "cancellation_window": null, "refund_grace": null, "hold_lifetime": null
            }',
            pg_temp.therapist()
        ) as p
    $$,
    $$
        values (
            pg_temp.therapist(), 'UTC', 15, 180, interval '24 hours', interval '30 days', interval '5 minutes',
            0, 0, interval '0', interval '365 days', 15, 0, 1000, 1000, false
        )
    $$,
    'everything as the default says'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- The default
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select p.*
        from public.set_policy(
            '{"time_zone": "Europe/Paris", "cancellation_window": "365 days", "refund_grace": "3650 days",
            "hold_lifetime": "1 hour", "buffer_before_minutes": 720, "buffer_after_minutes": 720,
            "minimum_notice": "365 days", "maximum_advance": "3650 days", "slot_step_minutes": 1440,
            "slot_offset_minutes": 1439, "maximum_sessions_per_day": 1, "maximum_sessions_per_week": 1,
            "require_hours": true}'
        ) as p
    $$,
    $$
        values (
            null::uuid, 'Europe/Paris', 15, 180, interval '365 days', interval '3650 days', interval '1 hour',
            720, 720, interval '365 days', interval '3650 days', 1440, 1439, 1, 1, true
        )
    $$,
    'the default may be changed, up to these'
);
select results_eq(
    $$ select p.time_zone, p.hold_lifetime from public.get_policy(pg_temp.other_therapist()) as p $$,
    $$ values ('Europe/Paris', interval '1 hour') $$,
    'for all therapists that have no settings of their own'
);
select is((
    select count(*) from bookingdb.policies as p
    where p.therapist_id is null
), 1::bigint, 'there is one default');
select p.time_zone
from public.set_policy(
    '{"time_zone": "UTC", "cancellation_window": "24 hours", "refund_grace": "30 days", "hold_lifetime": "5 minutes",
    "buffer_before_minutes": 0, "buffer_after_minutes": 0, "minimum_notice": "0", "maximum_advance": "365 days",
    "slot_step_minutes": 15, "slot_offset_minutes": 0, "maximum_sessions_per_day": 1000,
    "maximum_sessions_per_week": 1000, "require_hours": false}'
) as p;

-- ---------------------------------------------------------------------------------------------------------------------
-- What the settings do
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book('before', pg_temp.client(), pg_temp.therapist(), 30);
select p.time_zone
from public.set_policy(
    '{"time_zone": "Europe/Berlin", "minimum_duration_minutes": 50, "maximum_duration_minutes": 60,
    "cancellation_window": "48 hours"}',
    pg_temp.therapist()
) as p;
select pg_temp.book('after', pg_temp.client(), pg_temp.therapist(), 31);
select results_eq(
    $$
        select s.time_zone, s.start_time - s.free_cancellation_until
        from public.sessions as s order by s.start_time
    $$,
    $$ values ('UTC', interval '24 hours'), ('Europe/Berlin', interval '48 hours') $$,
    'what was booked keeps its deal'
);
select
    throws_ok(
        format(
            $$
                select public.create_session_with_credit_deduction(
                    pg_temp.client(), pg_temp.therapist(), current_date + 32, '10:00', %s
                )
            $$,
            d.minutes
        ),
        'PT400', 'Duration must be 15-180 minutes', format('%s minutes', d.minutes)
    )
from (values (49), (61)) as d (minutes);
select is(
    pg_temp.detail_of(
        $$
            select public.create_session_with_credit_deduction(
                pg_temp.client(), pg_temp.therapist(), current_date + 32, '10:00', 61
            )
        $$
    ),
    '{"code": "invalid_duration", "minimum": 50, "maximum": 60}',
    'the error says what the therapist offers'
);
select lives_ok(
    $$
        select public.create_session_with_credit_deduction(
            pg_temp.client(), pg_temp.therapist(), current_date + 32, d.time, d.minutes
        )
        from (values (time '10:00', 50), (time '12:00', 60)) as d (time, minutes)
    $$,
    'both ends are allowed'
);

select results_eq(
    $$
        select p.buffer_before_minutes, p.buffer_after_minutes, p.minimum_notice, p.maximum_advance,
            p.slot_step_minutes, p.slot_offset_minutes, p.maximum_sessions_per_day, p.maximum_sessions_per_week,
            p.require_hours
        from public.set_policy(
            '{"buffer_before_minutes": 0, "buffer_after_minutes": 5, "minimum_notice": "2 hours",
            "maximum_advance": "60 days", "slot_step_minutes": 30, "slot_offset_minutes": 10,
            "maximum_sessions_per_day": 8, "maximum_sessions_per_week": 40, "require_hours": "false"}',
            pg_temp.therapist()
        ) as p
    $$,
    $$ values (0, 5, interval '2 hours', interval '60 days', 30, 10, 8, 40, false) $$,
    'what availability is made of'
);
select results_eq(
    $$
        select p.buffer_after_minutes, p.slot_step_minutes, p.require_hours, p.maximum_sessions_per_day
        from public.set_policy(
            '{"buffer_after_minutes": null, "slot_step_minutes": null, "require_hours": null,
            "maximum_sessions_per_day": null}',
            pg_temp.therapist()
        ) as p
    $$,
    $$ values (0, 15, false, 1000) $$,
    'is the default''s again when it is taken back'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

select p.minimum_duration_minutes
from public.set_policy('{"minimum_duration_minutes": 50}', pg_temp.other_therapist()) as p;
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select
    throws_ok(
        format('select public.set_policy(%L, pg_temp.therapist())', r.settings),
        'PT400', 'Invalid parameter', coalesce(r.settings, 'no settings')
    )
from (
    values
    (null),
    ('null'),
    ('[]'),
    ('"UTC"'),
    ('{"timezone": "UTC"}'),
    ('{"therapist_id": null}'),
    ('{"minimum_duration_minutes": 14}'),
    ('{"minimum_duration_minutes": 181}'),
    ('{"minimum_duration_minutes": 15.5}'),
    ('{"minimum_duration_minutes": -30}'),
    ('{"minimum_duration_minutes": ""}'),
    ('{"minimum_duration_minutes": true}'),
    ('{"minimum_duration_minutes": [30]}'),
    ('{"maximum_duration_minutes": 1e9}'),
    ('{"maximum_duration_minutes": "an hour"}'),
    ('{"cancellation_window": "-1 second"}'),
    ('{"cancellation_window": "365 days 1 second"}'),
    ('{"cancellation_window": "tomorrow"}'),
    ('{"cancellation_window": "999999999999 days"}'),
    ('{"cancellation_window": {}}'),
    ('{"refund_grace": "23 hours"}'),
    ('{"refund_grace": "3651 days"}'),
    ('{"hold_lifetime": "9 seconds"}'),
    ('{"hold_lifetime": "61 minutes"}'),
    ('{"hold_lifetime": ""}'),
    ('{"minimum_duration_minutes": 61}'),
    ('{"maximum_duration_minutes": 49}'),
    ('{"hold_lifetime": "2 minutes", "refund_grace": "0"}'),
    ('{"buffer_before_minutes": -1}'),
    ('{"buffer_before_minutes": 721}'),
    ('{"buffer_after_minutes": 721}'),
    ('{"buffer_after_minutes": "ten"}'),
    ('{"minimum_notice": "-1 hour"}'),
    ('{"minimum_notice": "366 days"}'),
    ('{"maximum_advance": "23 hours"}'),
    ('{"maximum_advance": "3651 days"}'),
    ('{"maximum_advance": "for ever"}'),
    ('{"slot_step_minutes": 0}'),
    ('{"slot_step_minutes": 1441}'),
    ('{"slot_offset_minutes": 1440}'),
    ('{"maximum_sessions_per_day": 0}'),
    ('{"maximum_sessions_per_day": 1001}'),
    ('{"maximum_sessions_per_week": 0}'),
    ('{"maximum_sessions_per_week": 1001}'),
    ('{"require_hours": "yes"}'),
    ('{"require_hours": 1}')
) as r (settings);
select throws_ok(
    $$ select public.set_policy('{"maximum_duration_minutes": 45}') $$,
    'PT400', 'Invalid parameter', 'a default that leaves a therapist nothing'
);
select
    throws_ok(
        format('select public.set_policy(%L)', r.settings), 'PT400', 'Invalid parameter',
        format('the default has all of them: %s', r.settings)
    )
from (
    values ('{"time_zone": null}'), ('{"refund_grace": null}'), ('{"minimum_duration_minutes": null}'),
    ('{"maximum_advance": null}'), ('{"require_hours": null}')
) as r (settings);
select
    throws_ok(
        format('select public.set_policy(%L, %L)', r.settings, r.therapist_id), r.sqlstate, r.message, r.name
    )
from (
    values
    ('{"time_zone": "Mars+5"}', pg_temp.therapist(), 'PT400', 'Invalid time zone', 'a zone of Mars'),
    ('{"time_zone": ""}', pg_temp.therapist(), 'PT400', 'Invalid time zone', 'an empty zone'),
    ('{"time_zone": 5}', pg_temp.therapist(), 'PT400', 'Invalid time zone', 'a number for a zone'),
    ('{}', pg_temp.stranger(), 'PT404', 'Therapist not found', 'a therapist that nobody knows'),
    ('{}', pg_temp.client(), 'PT404', 'Therapist not found', 'a client')
) as r (settings, therapist_id, sqlstate, message, name);
set local intervalstyle = 'iso_8601';
select results_eq(
    $$
        select pg_temp.detail_of(format('select public.set_policy(%L)', r.settings)) - 'code'
        from (
            values
            (1, '[]'), (2, '{"a": 1}'), (3, '{"hold_lifetime": "2 hours"}'), (4, '{"minimum_duration_minutes": 5}'),
            (5, '{"refund_grace": "soon"}'), (6, '{"maximum_advance": "1 hour"}'), (7, '{"require_hours": 2}')
        ) as r (number, settings)
        order by r.number
    $$,
    array[
        '{"parameter": "p_settings"}', '{"parameter": "p_settings"}',
        '{"parameter": "hold_lifetime", "minimum": "10 seconds", "maximum": "1 hour"}',
        '{"parameter": "minimum_duration_minutes", "minimum": 15, "maximum": 180}',
        '{"parameter": "refund_grace", "minimum": "1 day", "maximum": "3650 days"}',
        '{"parameter": "maximum_advance", "minimum": "1 day", "maximum": "3650 days"}', '{"parameter": "require_hours"}'
    ]::jsonb[],
    'the error names the setting, and what it may be, however the connection shows intervals'
);
set local intervalstyle = 'postgres';

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may call it
-- ---------------------------------------------------------------------------------------------------------------------

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ select public.set_policy('{}') $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok($$ select public.set_policy('{}') $$, 'PT403', 'Not allowed to act for this user', 'a client');
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ select public.set_policy('{}', pg_temp.therapist()) $$,
    'PT403', 'Not allowed to act for this user', 'a therapist, even its own'
);
set local role anon;
select throws_ok($$ select public.set_policy('{}') $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok(
    $$ select public.set_policy('{"hold_lifetime": "3 minutes"}', pg_temp.therapist()) $$,
    'the application''s own server'
);
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
