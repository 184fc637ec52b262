-- expire_credits(): post what is left of expired lots to the ledger.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    expire_credits()
    returns table (lots integer, credits bigint)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('expire_credits', 'authenticated', 'service_role');

-- The client's lot has expired
update public.user_credits as c set expires_at = now() - interval '1 second'
where c.user_id = pg_temp.client();

-- Example
select is(public.get_credit_balance(pg_temp.client()), 0, 'no balance counts it, posted or not');
select pg_temp.act_as('service_role');
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (1, bigint '5') $$,
    'a trusted caller is told how many lots and credits were posted'
);
select results_eq(
    'select e.lots, e.credits from public.expire_credits() as e',
    $$ values (0, bigint '0') $$,
    'done again it finds nothing'
);
reset role;
select results_eq(
    'select c.status, c.credits_balance, c.credits_expired from public.user_credits as c',
    $$ values ('expired', 0, 5) $$,
    'the lot says what expired'
);
select results_eq(
    $$ select l.amount, l.balance_after, l.actor from bookingdb.ledger as l where l.kind = 'expiry' $$,
    $$ values (-5, 0, 'service_role') $$,
    'the ledger has one entry'
);
select is(
    (select pg_temp.events(c.id) from public.user_credits as c), array['credits.granted', 'credits.expired'],
    'an event tells of it'
);

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.expire_credits()') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
