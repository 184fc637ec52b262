-- extend_lot(): let a lot expire later.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    extend_lot(
        p_lot_id uuid, p_expires_at timestamptz default null, p_expires_on date default null,
        p_reason text default null
    )
    returns table (
        lot_id uuid, user_id uuid, state text, lot_balance integer, credits_purchased integer, credits_owed integer,
        category text, priority integer, expires_at timestamptz, frozen_at timestamptz, payment_reference text,
        package_id uuid, grace_for_lot_id uuid, created_at timestamptz
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('extend_lot', 'authenticated', 'service_role');

-- Given
create temporary table lot as
select g.lot_id as id from public.grant_credits(pg_temp.client(), 3, p_expires_on => pg_temp.monday()) as g;
grant select on lot to authenticated, service_role;

update public.user_credits as c set expires_at = now() - interval '1 second'
where c.id = (select id from lot);
select e.lots from public.expire_credits() as e;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select l.state, l.lot_balance, l.expires_at
        from public.extend_lot((select id from lot), p_expires_on => pg_temp.monday(), p_reason => 'ill') as l
    $$,
    $$ values ('active', 3, pg_temp.at('00:00', 1)) $$,
    'the lot lives again, and what had expired in it'
);
reset role;
select results_eq(
    $$
        select l.amount, l.balance_after, l.reason, l.actor
        from bookingdb.ledger as l
        where l.lot_id = (select id from lot) and l.kind = 'extension'
    $$,
    $$ values (3, 3, 'ill', 'service_role') $$,
    'the ledger says why'
);
select is(
    (select pg_temp.events(t.id) from lot as t), array['credits.granted', 'credits.expired', 'credits.extended'],
    'an event tells of it'
);

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.extend_lot(gen_random_uuid())') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
