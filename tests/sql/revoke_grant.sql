-- revoke_grant(): take back what is left of a lot, as after a chargeback.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    revoke_grant(
        p_lot_id uuid default null, p_payment_reference text default null, p_reason text default null,
        p_share double precision default 1, p_remember boolean default false
    )
    returns table (
        lot_id uuid, credits_revoked bigint, credits_spent bigint, credits_balance integer, credits_owed bigint,
        is_remembered boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('revoke_grant', 'authenticated', 'service_role');

-- The client spent one credit of the payment
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select r.credits_revoked, r.credits_spent, r.credits_balance
        from public.revoke_grant(p_payment_reference => 'a payment', p_reason => 'chargeback') as r
    $$,
    $$ values (bigint '4', bigint '1', 0) $$,
    'a trusted caller is told what was left, and what had been spent'
);
reset role;
select results_eq(
    'select c.status, c.credits_balance, c.credits_used, c.credits_owed from public.user_credits as c',
    $$ values ('revoked', 0, 1, 1) $$,
    'the lot is revoked, and empty'
);
select results_eq(
    $$ select l.amount, l.balance_after, l.reason from bookingdb.ledger as l where l.kind = 'revocation' $$,
    $$ values (-4, 0, 'chargeback') $$,
    'the ledger has one entry, with the reason'
);
select is(
    (select pg_temp.events(c.id) from public.user_credits as c), array['credits.granted', 'credits.revoked'],
    'an event tells of it'
);
select results_eq(
    'select s.status::text from public.sessions as s', array['scheduled'], 'what was booked stays booked'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.revoke_grant(p_payment_reference => ''another'')') as e
    $$,
    $$ values ('PT404', 'Credit grant not found', 'lot_not_found') $$,
    'a payment that nobody knows is not taken back'
);

select * from finish();
rollback;
