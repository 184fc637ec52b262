-- thaw_lot(): let the time of a lot go on.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    thaw_lot(p_lot_id uuid, p_reason text)
    returns table (
        lot_id uuid, user_id uuid, state text, lot_balance integer, credits_purchased integer, credits_owed integer,
        category text, priority integer, expires_at timestamptz, frozen_at timestamptz, payment_reference text,
        package_id uuid, grace_for_lot_id uuid, created_at timestamptz
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('thaw_lot', 'authenticated', 'service_role');

-- Given
create temporary table lot as
select g.lot_id as id from public.grant_credits(pg_temp.client(), 3, p_expires_on => pg_temp.monday()) as g;
grant select on lot to authenticated, service_role;

select l.state from public.freeze_lot((select id from lot), 'on leave') as l;
update public.user_credits as c set frozen_at = now() - interval '48 hours'
where c.id = (select id from lot);

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select l.state, l.frozen_at, l.expires_at >= pg_temp.at('00:00', 3), l.expires_at < pg_temp.at('00:01', 3)
        from public.thaw_lot((select id from lot), 'back again') as l
    $$,
    $$ values ('active', null::timestamptz, true, true) $$,
    'the lot ends later'
);
reset role;
select is(public.get_credit_balance(pg_temp.client()), 8, 'its credits can be spent');
select results_eq(
    $$
        select l.amount, l.balance_after, l.reason, l.actor
        from bookingdb.ledger as l
        where l.lot_id = (select id from lot) and l.kind = 'thaw'
    $$,
    $$ values (0, 3, 'back again', 'service_role') $$,
    'the ledger says why'
);
select is(
    (select pg_temp.events(t.id) from lot as t), array['credits.granted', 'credits.frozen', 'credits.thawed'],
    'an event tells of it'
);

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.thaw_lot(gen_random_uuid(), null)') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
