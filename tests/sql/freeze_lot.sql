-- freeze_lot(): stop the time of a lot.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    freeze_lot(p_lot_id uuid, p_reason text)
    returns table (
        lot_id uuid, user_id uuid, state text, lot_balance integer, credits_purchased integer, credits_owed integer,
        category text, priority integer, expires_at timestamptz, frozen_at timestamptz, payment_reference text,
        package_id uuid, grace_for_lot_id uuid, created_at timestamptz
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('freeze_lot', 'authenticated', 'service_role');

-- Given
create temporary table lot as
select g.lot_id as id from public.grant_credits(pg_temp.client(), 3, p_expires_on => pg_temp.monday()) as g;
grant select on lot to authenticated, service_role;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select l.state, l.lot_balance, l.frozen_at is not null
        from public.freeze_lot((select id from lot), 'on leave') as l
    $$,
    $$ values ('frozen', 3, true) $$,
    'the lot is frozen'
);
reset role;
select is(public.get_credit_balance(pg_temp.client()), 5, 'nobody can spend it');
select results_eq(
    $$
        select l.amount, l.balance_after, l.reason, l.actor
        from bookingdb.ledger as l
        where l.lot_id = (select id from lot) and l.kind = 'freeze'
    $$,
    $$ values (0, 3, 'on leave', 'service_role') $$,
    'the ledger says why'
);
select is(
    (select pg_temp.events(t.id) from lot as t), array['credits.granted', 'credits.frozen'], 'an event tells of it'
);

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.freeze_lot(gen_random_uuid(), null)') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
