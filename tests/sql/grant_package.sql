-- grant_package(): give a client what the practice sells.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    grant_package(
        p_user_id uuid, p_package_id uuid default null, p_price_reference text default null,
        p_payment_reference text default null, p_idempotency_key text default null
    )
    returns table (lot_id uuid, lot_balance integer, credits_balance integer, is_new boolean)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('grant_package', 'authenticated', 'service_role');

select p.id from public.set_package('Monthly', 4, '1 month', 'price_4', 1, 'promotional', 7) as p;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select g.lot_balance, g.credits_balance, g.is_new
        from public.grant_package(
            pg_temp.other_client(), p_price_reference => 'price_4', p_payment_reference => 'first month'
        ) as g
    $$,
    'values (4, 4, true)',
    'a trusted caller grants the package of a price'
);
select results_eq(
    $$
        select g.lot_balance, g.credits_balance, g.is_new
        from public.grant_package(
            pg_temp.other_client(), p_price_reference => 'price_4', p_payment_reference => 'second month'
        ) as g
    $$,
    'values (4, 5, true)',
    'the next month, one of the credits that are left stays'
);
reset role;
select results_eq(
    $$
        select c.payment_reference::text, c.credits_balance, c.category::text, c.priority::integer,
            c.expires_at = bookingdb.end_of_date(
                'a date', ((now() at time zone bookingdb.time_zone_of(null))::date + interval '1 month')::date
            )
        from public.user_credits as c
        where c.package_id is not null
        order by c.payment_reference
    $$,
    $$ values ('first month', 1, 'promotional', 7, true), ('second month', 4, 'promotional', 7, true) $$,
    'the lots are as the package says, and end with a day'
);
select results_eq(
    $$ select l.kind, l.amount from bookingdb.ledger as l where l.user_id = pg_temp.other_client() order by l.id $$,
    $$ values ('grant', 4), ('grant', 4), ('expiry', -3) $$,
    'the ledger has what was granted, and what expired'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'code'
        from pg_temp.error_of(
            'select public.grant_package(pg_temp.client(), p_price_reference => ''price_9'')'
        ) as e
    $$,
    $$ values ('PT404', 'package_not_found') $$,
    'a price that no package has grants nothing'
);

select * from finish();
rollback;
