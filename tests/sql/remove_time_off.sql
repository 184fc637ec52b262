begin;
\ir include/setup.sql
select plan(26);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'remove_time_off', array['uuid']
);
select function_lang_is('public'::name, 'remove_time_off'::name, 'plpgsql'::name);
select function_returns('public'::name, 'remove_time_off'::name, 'void');
select volatility_is('public'::name, 'remove_time_off'::name, 'volatile');
select isnt_definer('public'::name, 'remove_time_off'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People: both therapists are off on the same day; the first one has something in another calendar, too, and a session
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), 29);

-- An instant some days from today.
create function pg_temp.at(p_days integer) returns timestamptz language sql stable
return (current_date + p_days + time '00:00') at time zone 'UTC';

create function pg_temp.time_off(p_therapist_id uuid) returns uuid language plpgsql stable security definer
as $function$
begin
    return (
        select c.id
        from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id and c.kind = 'time_off'
    );
end;
$function$;

select t.reason
from public.add_time_off(pg_temp.therapist(), pg_temp.at(30), pg_temp.at(31), 'a day off') as t;
select t.reason
from public.add_time_off(pg_temp.other_therapist(), pg_temp.at(30), pg_temp.at(31), 'a day off') as t;
select y.inserted
from public.sync_external_busy(
    pg_temp.therapist(), 'calendar',
    jsonb_build_array(jsonb_build_object('external_id', 'a', 'start_time', pg_temp.at(35), 'end_time', pg_temp.at(36)))
) as y;

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select throws_ok('select public.remove_time_off(null)', 'PT400', 'Invalid parameter', 'no id');
select is(
    pg_temp.detail_of('select public.remove_time_off(null)'),
    '{"code": "invalid_parameter", "parameter": "p_time_off_id"}', 'the error names the parameter'
);
select throws_ok(
    'select public.remove_time_off(pg_temp.stranger())', 'PT404', 'Time off not found', 'an id that nobody knows'
);
select is(
    pg_temp.detail_of('select public.remove_time_off(pg_temp.stranger())'),
    jsonb_build_object('code', 'time_off_not_found', 'time_off_id', pg_temp.stranger()), 'the error names it'
);
select throws_ok(
    $$ select public.remove_time_off(pg_temp.session('booked')) $$, 'PT404', 'Time off not found', 'a session'
);
select throws_ok(
    $$ select public.remove_time_off(c.id) from bookingdb.calendar as c where c.kind = 'external' $$,
    'PT404', 'Time off not found', 'an external appointment'
);
set local role authenticated;
select pg_temp.claim(null);
select throws_ok(
    'select public.remove_time_off(pg_temp.time_off(pg_temp.therapist()))', 'PT401', 'Not authenticated', 'nobody'
);
select pg_temp.claim(pg_temp.client());
select throws_ok(
    'select public.remove_time_off(pg_temp.time_off(pg_temp.therapist()))',
    'PT403', 'Not allowed to act for this user', 'a client'
);
select pg_temp.claim(pg_temp.other_therapist());
select throws_ok(
    'select public.remove_time_off(pg_temp.time_off(pg_temp.therapist()))',
    'PT403', 'Not allowed to act for this user', 'another therapist'
);
set local role anon;
select throws_ok(
    'select public.remove_time_off(pg_temp.stranger())', '42501', null, 'nobody without a login'
);
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
select public.set_therapist_active(pg_temp.therapist(), false);
select throws_ok(
    'select public.remove_time_off(pg_temp.time_off(pg_temp.therapist()))',
    'PT404', 'Therapist not found', 'a therapist who cannot be booked any more'
);
select public.set_therapist_active(pg_temp.therapist(), true);

-- ---------------------------------------------------------------------------------------------------------------------
-- It is taken back
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table removed on commit drop as
select
    pg_temp.time_off(pg_temp.therapist()) as id,
    (select max(o.id) from bookingdb.outbox as o) as last_event;
grant select on removed to authenticated;

select is(
    public.check_booking_conflict(pg_temp.therapist(), current_date + 30, '10:00', '11:00'), true, 'off before'
);
set local role authenticated;
select pg_temp.claim(pg_temp.therapist());
select lives_ok('select public.remove_time_off(r.id) from removed as r', 'the therapist itself');
reset role;
select is(
    public.check_booking_conflict(pg_temp.therapist(), current_date + 30, '10:00', '11:00'), false, 'and back again'
);
select is(pg_temp.time_off(pg_temp.therapist()), null, 'the row is gone');
select results_eq(
    $$
        select o.event, o.subject_id
        from bookingdb.outbox as o
        cross join removed as r
        where o.id > r.last_event
    $$,
    $$ values ('availability.changed', pg_temp.therapist()) $$,
    'with one event'
);
select throws_ok(
    'select public.remove_time_off(r.id) from removed as r', 'PT404', 'Time off not found', 'a second time'
);
select is(
    public.check_booking_conflict(pg_temp.other_therapist(), current_date + 30, '10:00', '11:00'), true,
    'the other therapist is off as before'
);
set local role service_role;
select lives_ok(
    'select public.remove_time_off(pg_temp.time_off(pg_temp.other_therapist()))', 'the application''s own server'
);
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
