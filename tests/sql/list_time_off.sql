begin;
\ir include/setup.sql
select plan(28);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'list_time_off', array['uuid', 'timestamp with time zone', 'timestamp with time zone']
);
select function_lang_is('public'::name, 'list_time_off'::name, 'plpgsql'::name);
select function_returns('public'::name, 'list_time_off'::name, 'setof record');
select volatility_is('public'::name, 'list_time_off'::name, 'stable');
select isnt_definer('public'::name, 'list_time_off'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: the therapist has a session, and three times off; the other therapist has one
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), 31, '23:30');

-- An instant some days from today.
create function pg_temp.at(p_days integer, p_time time default '00:00') returns timestamptz language sql stable
return (current_date + p_days + p_time) at time zone 'UTC';

create temporary table time_off on commit drop as
select
    o.name,
    t.id
from (
    values
    ('second', pg_temp.therapist(), 32, 33),
    ('first', pg_temp.therapist(), 30, 32),
    ('third', pg_temp.therapist(), 40, 41),
    ('other', pg_temp.other_therapist(), 30, 41)
) as o (name, therapist_id, first_day, last_day)
cross join lateral public.add_time_off(
    o.therapist_id, pg_temp.at(o.first_day), pg_temp.at(o.last_day), o.name
) as t;
select y.inserted
from public.sync_external_busy(
    pg_temp.therapist(), 'calendar',
    jsonb_build_array(jsonb_build_object('external_id', 'a', 'start_time', pg_temp.at(35), 'end_time', pg_temp.at(36)))
) as y;
create temporary table before_reading on commit drop as
select pg_temp.written() as written;

prepare off (integer, integer) as
select t.reason from public.list_time_off(pg_temp.therapist(), pg_temp.at($1), pg_temp.at($2)) as t;

select results_eq(
    $$
        select t.id = (select o.id from time_off as o where o.name = t.reason), t.start_time, t.end_time, t.reason,
            t.session_ids
        from public.list_time_off(pg_temp.therapist(), pg_temp.at(0), pg_temp.at(100)) as t
    $$,
    $$
        values
        (true, pg_temp.at(30), pg_temp.at(32), 'first', array[pg_temp.session('booked')]),
        (true, pg_temp.at(32), pg_temp.at(33), 'second', array[pg_temp.session('booked')]),
        (true, pg_temp.at(40), pg_temp.at(41), 'third', '{}')
    $$,
    'in order, with the sessions that lie in it, and nothing that is no time off'
);
select results_eq(format('execute off(%s, %s)', c.from_day, c.to_day), c.expected, c.name)
from (
    values
    (31, 32, array['first'], 'what reaches into the time'),
    (32, 33, array['second'], 'what ends when it begins does not'),
    (31, 33, array['first', 'second'], 'two that touch'),
    (39, 42, array['third'], 'what lies in it')
) as c (from_day, to_day, expected, name);
select is_empty('execute off(33, 40)', 'no time off');
select is_empty('execute off(31, 31)', 'no time at all');

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select
    throws_ok(
        format('select public.list_time_off(%s, %L, %L)', r.therapist_id, r.starts_at, r.ends_at),
        r.sqlstate, r.message, r.name
    )
from (
    values
    ('null', '2030-01-07Z', '2030-01-08Z', 'PT400', 'Invalid therapist ID format', 'no therapist'),
    ('pg_temp.stranger()', '2030-01-07Z', '2030-01-08Z', 'PT404', 'Therapist not found', 'nobody''s id'),
    ('pg_temp.client()', '2030-01-07Z', '2030-01-08Z', 'PT404', 'Therapist not found', 'a client'),
    ('pg_temp.therapist()', null, '2030-01-08Z', 'PT400', 'Invalid parameter', 'no beginning'),
    ('pg_temp.therapist()', '2030-01-07Z', null, 'PT400', 'Invalid parameter', 'no end'),
    ('pg_temp.therapist()', '-infinity', '2030-01-08Z', 'PT400', 'Invalid parameter', 'since ever'),
    ('pg_temp.therapist()', '2030-01-07Z', 'infinity', 'PT400', 'Invalid parameter', 'for ever'),
    ('pg_temp.therapist()', '2030-01-08Z', '2030-01-07Z', 'PT400', 'Invalid parameter', 'an end before the beginning')
) as r (therapist_id, starts_at, ends_at, sqlstate, message, name);
set local role authenticated;
select pg_temp.claim(null);
select throws_ok('execute off(0, 100)', 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok('execute off(0, 100)', 'PT403', 'Not allowed to act for this user', 'a client');
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok('execute off(0, 100)', 'PT403', 'Not allowed to act for this user', 'another therapist');
select pg_temp.claim(pg_temp.therapist());
select results_eq('execute off(0, 100)', array['first', 'second', 'third'], 'the therapist itself');
set local role anon;
select throws_ok('execute off(0, 100)', '42501', null, 'nobody without a login');
set local role service_role;
select results_eq('execute off(0, 100)', array['first', 'second', 'third'], 'the application''s own server');
reset role;
select is(pg_temp.written(), (select b.written from before_reading as b), 'nothing is written');

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
