begin;
\ir include/setup.sql
select plan(47);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'find_available_therapists',
    array['timestamp with time zone', 'timestamp with time zone', 'integer', 'uuid[]', 'integer']
);
select function_lang_is('public'::name, 'find_available_therapists'::name, 'plpgsql'::name);
select function_returns('public'::name, 'find_available_therapists'::name, 'setof record');
select volatility_is('public'::name, 'find_available_therapists'::name, 'stable');
select isnt_definer('public'::name, 'find_available_therapists'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People, all in UTC: the therapist is there on Mondays from ten to twelve, the other one from nine to eleven, the
-- third at any time. A fourth is not active.
-- ---------------------------------------------------------------------------------------------------------------------

create function pg_temp.third() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a3';
create function pg_temp.inactive() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a4';
select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_therapist('c@therapist.test', 'C', pg_temp.third(), 'UTC');
select public.register_therapist('d@therapist.test', 'D', pg_temp.inactive(), 'UTC');
select public.set_therapist_active(pg_temp.inactive(), false);
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "10:00", "end_time": "12:00"}]'
) as h;
select h.weekday
from public.set_weekly_hours(
    pg_temp.other_therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "11:00"}]'
) as h;

-- An instant of the Monday or some days later.
create function pg_temp.at(p_time time, p_days integer default 0) returns timestamptz language sql stable
return (pg_temp.monday() + p_days + p_time) at time zone 'UTC';

prepare find (time, time, integer, uuid[], integer) as
select
    f.therapist_id,
    f.start_time
from public.find_available_therapists(pg_temp.at($1), pg_temp.at($2), $3, $4, $5) as f;

-- ---------------------------------------------------------------------------------------------------------------------
-- Who is found
-- ---------------------------------------------------------------------------------------------------------------------

select results_eq(
    $$
        select f.therapist_id, f.start_time, f.end_time
        from public.find_available_therapists(pg_temp.at('08:00'), pg_temp.at('18:00')) as f
    $$,
    $$
        values
        (pg_temp.third(), pg_temp.at('08:00'), pg_temp.at('09:00')),
        (pg_temp.other_therapist(), pg_temp.at('09:00'), pg_temp.at('10:00')),
        (pg_temp.therapist(), pg_temp.at('10:00'), pg_temp.at('11:00'))
    $$,
    'every therapist with its first slot, the earliest first; nobody who is not active'
);
select results_eq(
    $$ execute find('10:00', '18:00', 60, null, 20) $$,
    $$
        values
        (pg_temp.therapist(), pg_temp.at('10:00')), (pg_temp.other_therapist(), pg_temp.at('10:00')),
        (pg_temp.third(), pg_temp.at('10:00'))
    $$,
    'at the same time by id'
);
select results_eq(
    $$ execute find('10:30', '12:00', 60, null, 20) $$,
    $$ values (pg_temp.therapist(), pg_temp.at('10:30')), (pg_temp.third(), pg_temp.at('10:30')) $$,
    'the whole session lies between the two'
);
select results_eq(
    $$ execute find('10:30', '11:30', 60, null, 20) $$,
    $$ values (pg_temp.therapist(), pg_temp.at('10:30')), (pg_temp.third(), pg_temp.at('10:30')) $$,
    'also where there is room for one only'
);
select is_empty($$ execute find('10:30', '11:29', 60, null, 20) $$, 'no room for any');
select is_empty($$ execute find('10:30', '10:30', 15, null, 20) $$, 'no time at all');
select results_eq(
    $$ execute find('08:00', '18:00', 60, null, 2) $$,
    $$ values (pg_temp.third(), pg_temp.at('08:00')), (pg_temp.other_therapist(), pg_temp.at('09:00')) $$,
    'not more than were asked for'
);
select results_eq(
    $$
        execute find(
            '08:00', '18:00', 60, array[pg_temp.therapist(), pg_temp.inactive(), pg_temp.stranger(), null,
            pg_temp.client(), pg_temp.therapist()], 20
        )
    $$,
    $$ values (pg_temp.therapist(), pg_temp.at('10:00')) $$,
    'of those given, once, whoever else is among them'
);
select is_empty($$ execute find('08:00', '18:00', 60, '{}', 20) $$, 'of none');
select results_eq(
    $$ execute find('10:01', '18:00', 30, null, 20) $$,
    $$
        values
        (pg_temp.therapist(), pg_temp.at('10:15')), (pg_temp.other_therapist(), pg_temp.at('10:15')),
        (pg_temp.third(), pg_temp.at('10:15'))
    $$,
    'on the grid'
);
select results_eq(
    $$
        select f.therapist_id, f.start_time
        from public.find_available_therapists(pg_temp.at('12:00'), pg_temp.at('12:00', 90), p_limit => 2) as f
    $$,
    $$ values (pg_temp.third(), pg_temp.at('12:00')), (pg_temp.other_therapist(), pg_temp.at('09:00', 7)) $$,
    'over months: who is free a week later comes behind'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- By the same rules as everything else
-- ---------------------------------------------------------------------------------------------------------------------

select pg_temp.book('booked', pg_temp.client(), pg_temp.other_therapist(), pg_temp.monday() - current_date, '09:00');
select p.slot_step_minutes
from public.set_policy('{"slot_step_minutes": 60, "slot_offset_minutes": 20}', pg_temp.third()) as p;
select p.maximum_duration_minutes
from public.set_policy('{"maximum_duration_minutes": 45}', pg_temp.therapist()) as p;
select results_eq(
    $$ execute find('08:00', '18:00', 60, null, 20) $$,
    $$ values (pg_temp.third(), pg_temp.at('08:20')), (pg_temp.other_therapist(), pg_temp.at('10:00')) $$,
    'sessions, each therapist''s own grid, how long its sessions may be'
);
select results_eq(
    $$ execute find('08:00', '18:00', 45, null, 1) $$,
    $$ values (pg_temp.third(), pg_temp.at('08:20')) $$,
    'the first of a grid may come after another''s first free instant'
);
select results_eq(
    $$ execute find('08:25', '18:00', 45, null, 1) $$,
    $$ values (pg_temp.third(), pg_temp.at('09:20')) $$,
    'who is free first'
);
select results_eq(
    $$ execute find('09:25', '18:00', 45, null, 1) $$,
    $$ values (pg_temp.therapist(), pg_temp.at('10:00')) $$,
    'need not have the first slot'
);
select p.slot_step_minutes
from public.set_policy('{"slot_step_minutes": 1440, "slot_offset_minutes": 1439}', pg_temp.third()) as p;
select results_eq(
    $$
        select f.therapist_id, f.start_time
        from public.find_available_therapists(
            pg_temp.at('23:59'), pg_temp.at('23:58', 1), 60, array[pg_temp.third()]
        ) as f
    $$,
    $$ values (pg_temp.third(), pg_temp.at('23:59')) $$,
    'one slot a day'
);
select results_eq(
    $$
        select f.start_time
        from public.find_available_therapists(
            pg_temp.at('00:00'), pg_temp.at('12:00', 9), 60, array[pg_temp.third()]
        ) as f
    $$,
    $$ values (pg_temp.at('23:59')) $$,
    'late in the day'
);
prepare find_third as
select f.start_time
from public.find_available_therapists(pg_temp.at('08:00'), pg_temp.at('12:00', 3), 45, array[pg_temp.third()]) as f;
select results_eq('find_third', $$ values (pg_temp.at('23:59')) $$, 'without notice and horizon');
select p.minimum_notice from public.set_policy('{"minimum_notice": "300 days"}', pg_temp.third()) as p;
select is_empty('find_third', 'the notice');
select p.maximum_advance
from public.set_policy('{"minimum_notice": null, "maximum_advance": "2 days"}', pg_temp.third()) as p;
select is_empty('find_third', 'the horizon');
select p.minimum_notice from public.set_policy('{"minimum_notice": "3 days"}', pg_temp.third()) as p;
select results_eq(
    $$
        select f.therapist_id
        from public.find_available_therapists(pg_temp.at('08:00'), pg_temp.at('23:59'), 45) as f
    $$,
    array[pg_temp.therapist(), pg_temp.other_therapist()],
    'a notice that is longer than the horizon, of one of many'
);
select p.minimum_notice from public.set_policy('{"minimum_notice": null}', pg_temp.third()) as p;
select is(
    (
        select count(*)
        from public.find_available_therapists(now() - interval '48 hours', now(), 15)
    ), 0::bigint, 'nothing that is over'
);
select results_eq(
    $$
        select f.start_time
        from public.find_available_therapists(pg_temp.at('00:00'), pg_temp.at('00:00', 30), 45, p_limit => 2) as f
    $$,
    $$
        select n.start_time
        from (values (pg_temp.therapist()), (pg_temp.other_therapist())) as t (id)
        cross join lateral public.next_available_slot(t.id, 45, pg_temp.at('00:00')) as n
        order by n.start_time
    $$,
    'the slots are those of next_available_slot()'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;
select
    throws_ok(
        format(
            'select public.find_available_therapists(%L, %L, %L, null, %L)', r.starts_at, r.ends_at, r.minutes,
            r.maximum
        ),
        r.sqlstate, r.message, r.name
    )
from (
    values
    (null, '2030-01-08Z', 60, 20, 'PT400', 'Invalid parameter', 'no beginning'),
    ('2030-01-07Z', null, 60, 20, 'PT400', 'Invalid parameter', 'no end'),
    ('-infinity', '2030-01-08Z', 60, 20, 'PT400', 'Invalid parameter', 'since ever'),
    ('2030-01-07Z', 'infinity', 60, 20, 'PT400', 'Invalid parameter', 'for ever'),
    ('2030-01-08Z', '2030-01-07Z', 60, 20, 'PT400', 'Invalid parameter', 'backwards'),
    ('2030-01-07Z', '2031-01-08 00:01Z', 60, 20, 'PT400', 'Invalid parameter', 'more than 366 days'),
    ('2030-01-07Z', '2030-01-08Z', null, 20, 'PT400', 'Duration must be 15-180 minutes', 'no duration'),
    ('2030-01-07Z', '2030-01-08Z', 14, 20, 'PT400', 'Duration must be 15-180 minutes', '14 minutes'),
    ('2030-01-07Z', '2030-01-08Z', 181, 20, 'PT400', 'Duration must be 15-180 minutes', '181 minutes'),
    ('2030-01-07Z', '2030-01-08Z', 60, null, 'PT400', 'Invalid parameter', 'no limit'),
    ('2030-01-07Z', '2030-01-08Z', 60, 0, 'PT400', 'Invalid parameter', 'a limit of 0'),
    ('2030-01-07Z', '2030-01-08Z', 60, 1001, 'PT400', 'Invalid parameter', 'a limit of 1001')
) as r (starts_at, ends_at, minutes, maximum, sqlstate, message, name);
select is(
    pg_temp.detail_of($$ select public.find_available_therapists('2030-01-07Z', '2030-01-08Z', p_limit => 0) $$),
    '{"code": "invalid_parameter", "parameter": "p_limit", "minimum": 1, "maximum": 1000}',
    'the error says what it may be'
);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ execute find('08:00', '18:00', 45, null, 20) $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select lives_ok($$ execute find('08:00', '18:00', 45, null, 20) $$, 'every logged-in user');
set local role anon;
select throws_ok($$ execute find('08:00', '18:00', 45, null, 20) $$, '42501', null, 'nobody without a login');
set local role service_role;
select lives_ok($$ execute find('08:00', '18:00', 45, null, 20) $$, 'the application''s own server');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
