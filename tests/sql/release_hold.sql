begin;
\ir include/setup.sql
select plan(29);

-- ---------------------------------------------------------------------------------------------------------------------
-- Signature
-- ---------------------------------------------------------------------------------------------------------------------

select has_function(
    'public', 'release_hold',
    array['uuid']
);
select function_lang_is('public'::name, 'release_hold'::name, 'plpgsql'::name);
select function_returns('public'::name, 'release_hold'::name, 'void');
select volatility_is('public'::name, 'release_hold'::name, 'volatile');
select isnt_definer('public'::name, 'release_hold'::name);

-- ---------------------------------------------------------------------------------------------------------------------
-- People, and holds of the client with both therapists
-- ---------------------------------------------------------------------------------------------------------------------

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 5) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 5) as g;
select h.id from public.hold_slot(pg_temp.client(), pg_temp.therapist(), current_date + 30, '10:00') as h;
select h.id from public.hold_slot(pg_temp.client(), pg_temp.other_therapist(), current_date + 31, '10:00') as h;

-- The client's hold with a therapist, whoever asks.
create function pg_temp.hold_with(p_therapist_id uuid) returns uuid language plpgsql stable security definer
as $function$
begin
    return (
        select h.id
        from bookingdb.holds as h
        where h.therapist_id = p_therapist_id and h.user_id = pg_temp.client()
    );
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- A hold is given up
-- ---------------------------------------------------------------------------------------------------------------------

create temporary table before_release on commit drop as
select
    (select count(*) from public.sessions) as sessions,
    (select count(*) from bookingdb.ledger) as entries,
    (select count(*) from public.booking_audit_log) as audit_rows,
    (select count(*) from bookingdb.outbox) as events;
set local role authenticated;
select pg_temp.claim(pg_temp.client());
select lives_ok($$ select public.release_hold(pg_temp.hold_with(pg_temp.therapist())) $$, 'the client gives it up');
reset role;
select results_eq(
    $$
        select h.released_at between now() and clock_timestamp(), h.expires_at > now()
        from bookingdb.holds as h where h.id = pg_temp.hold_with(pg_temp.therapist())
    $$,
    'values (true, true)',
    'which is written down'
);
select results_eq(
    $$ select c.id from bookingdb.calendar as c $$,
    $$ select pg_temp.hold_with(pg_temp.other_therapist()) $$,
    'takes it off the calendar, and no other'
);
select results_eq(
    $$
        select
            (select count(*) from public.sessions),
            (select count(*) from bookingdb.ledger),
            (select count(*) from public.booking_audit_log),
            (select count(*) from bookingdb.outbox)
    $$,
    'select b.sessions, b.entries, b.audit_rows, b.events + 1 from before_release as b',
    'and writes nothing else'
);
select results_eq(
    $$
        select o.event, o.payload ->> 'hold_id', o.payload ->> 'user_id'
        from bookingdb.outbox as o where o.subject_id = pg_temp.hold_with(pg_temp.therapist()) order by o.id
    $$,
    $$
        select e.event, pg_temp.hold_with(pg_temp.therapist())::text, pg_temp.client()::text
        from (values ('hold.placed'), ('hold.released')) as e (event)
    $$,
    'but one event'
);
create temporary table after_release on commit drop as
select pg_temp.written() as written;
select lives_ok(
    $$ select public.release_hold(pg_temp.hold_with(pg_temp.therapist())) $$, 'a hold may be given up again'
);
select is(pg_temp.written(), (select a.written from after_release as a), 'which changes nothing');
select lives_ok(
    $$ select pg_temp.book('in its place', pg_temp.other_client(), pg_temp.therapist(), 30) $$,
    'the time is free at once'
);
select throws_ok(
    $$ select public.book_hold(pg_temp.hold_with(pg_temp.therapist())) $$,
    'PT410', 'Hold expired', 'what was given up does not become a session'
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Holds that are over
-- ---------------------------------------------------------------------------------------------------------------------

update bookingdb.holds as h set expires_at = now() - interval '1 second'
where h.id = pg_temp.hold_with(pg_temp.other_therapist());
update bookingdb.calendar as c set expires_at = now() - interval '1 second'
where c.id = pg_temp.hold_with(pg_temp.other_therapist());
select lives_ok(
    $$ select public.release_hold(pg_temp.hold_with(pg_temp.other_therapist())) $$,
    'one that has expired may be given up'
);
select results_eq(
    $$ select h.released_at from bookingdb.holds as h where h.id = pg_temp.hold_with(pg_temp.other_therapist()) $$,
    array[null::timestamptz],
    'but it expired before that'
);
select is_empty(
    $$ select c.id from bookingdb.calendar as c where c.kind = 'hold' $$, 'no calendar row is left of it'
);

delete from bookingdb.holds as h
where h.id = pg_temp.hold_with(pg_temp.therapist());
select h.id from public.hold_slot(pg_temp.client(), pg_temp.therapist(), current_date + 40, '10:00') as h;
select b.id from public.book_hold(pg_temp.hold_with(pg_temp.therapist())) as b;

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may call it
-- ---------------------------------------------------------------------------------------------------------------------

select h.id from public.hold_slot(pg_temp.other_client(), pg_temp.therapist(), current_date + 50, '10:00') as h;
create function pg_temp.others_hold() returns uuid language plpgsql stable security definer
as $function$
begin
    return (select h.id from bookingdb.holds as h where h.user_id = pg_temp.other_client());
end;
$function$;
create temporary table before_refusals on commit drop as
select pg_temp.written() as written;

select throws_ok(
    $$ select public.release_hold(pg_temp.hold_with(pg_temp.therapist())) $$,
    'PT409', 'Session status does not allow this', 'a hold that became a session'
);
select is(
    pg_temp.detail_of($$ select public.release_hold(pg_temp.hold_with(pg_temp.therapist())) $$),
    jsonb_build_object('code', 'invalid_transition', 'session_id', pg_temp.hold_with(pg_temp.therapist())),
    'which the error names'
);
select throws_ok('select public.release_hold(null)', 'PT400', 'Invalid parameter', 'no hold');
select is(
    pg_temp.detail_of('select public.release_hold(null)'),
    '{"code": "invalid_parameter", "parameter": "p_hold_id"}',
    'the error names the parameter'
);
select throws_ok(
    $$ select public.release_hold(pg_temp.stranger()) $$, 'PT404', 'Hold not found', 'a hold that nobody knows'
);

set local role authenticated;
select pg_temp.claim(null);
select throws_ok($$ select public.release_hold(pg_temp.others_hold()) $$, 'PT401', 'Not authenticated', 'nobody');
select pg_temp.claim(pg_temp.client());
select throws_ok(
    $$ select public.release_hold(pg_temp.others_hold()) $$,
    'PT403', 'Not allowed to act for this user', 'another client'
);
select pg_temp.claim(pg_temp.therapist());
select throws_ok(
    $$ select public.release_hold(pg_temp.others_hold()) $$,
    'PT403', 'Not allowed to act for this user', 'the therapist'
);
set local role anon;
select throws_ok($$ select public.release_hold(pg_temp.others_hold()) $$, '42501', null, 'nobody without a login');
reset role;
select is(pg_temp.written(), (select b.written from before_refusals as b), 'refusals leave nothing behind');
set local role service_role;
select lives_ok($$ select public.release_hold(pg_temp.others_hold()) $$, 'the application''s own server');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
