-- reinstate_grant(): give back what was revoked, as after a dispute that was won.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    reinstate_grant(p_lot_id uuid default null, p_payment_reference text default null, p_reason text default null)
    returns table (lot_id uuid, credits_reinstated bigint, credits_balance integer)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('reinstate_grant', 'authenticated', 'service_role');

-- The client spent one credit of the payment, which was revoked then
select pg_temp.book('booked', '10:00');
select pg_temp.act_as('service_role');
select r.credits_revoked from public.revoke_grant(p_payment_reference => 'a payment') as r;

-- Example
select results_eq(
    $$
        select r.credits_reinstated, r.credits_balance
        from public.reinstate_grant(p_payment_reference => 'a payment', p_reason => 'dispute won') as r
    $$,
    $$ values (bigint '4', 4) $$,
    'a trusted caller gives back what was taken'
);
reset role;
select results_eq(
    'select c.status, c.credits_balance, c.credits_owed from public.user_credits as c',
    $$ values ('active', 4, 0) $$,
    'the lot can be spent again, and nothing is owed'
);
select results_eq(
    $$ select l.amount, l.balance_after, l.reason from bookingdb.ledger as l where l.kind = 'reinstatement' $$,
    $$ values (4, 4, 'dispute won') $$,
    'the ledger has one entry, with the reason'
);
select is(
    (select pg_temp.events(c.id) from public.user_credits as c),
    array['credits.granted', 'credits.revoked', 'credits.reinstated'],
    'an event tells of it'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.reinstate_grant(p_payment_reference => ''another'')') as e
    $$,
    $$ values ('PT404', 'Credit grant not found', 'lot_not_found') $$,
    'a payment that nobody knows is not given back'
);

select * from finish();
rollback;
