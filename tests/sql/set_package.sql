-- set_package(): say what the practice sells.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    set_package(
        p_name text, p_credits integer, p_validity interval default null, p_price_reference text default null,
        p_rollover_cap integer default null, p_category text default 'paid', p_priority integer default 50,
        p_active boolean default true, p_package_id uuid default null
    )
    returns table (
        id uuid, name text, credits integer, validity text, price_reference text, rollover_cap integer, category text,
        priority integer, is_active boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_package', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select p.name, p.credits, p.validity, p.price_reference, p.rollover_cap, p.category, p.priority, p.is_active
        from public.set_package('Monthly', 4, '1 month', 'price_4', 2) as p
    $$,
    $$ values ('Monthly', 4, '1 month', 'price_4', 2, 'paid', 50, true) $$,
    'a trusted caller creates a package'
);
select results_eq(
    $$
        select p.name, p.credits, p.validity, p.price_reference, p.rollover_cap
        from public.set_package(' MONTHLY ', 5, interval '1 year 2 months 3 days') as p
    $$,
    $$ values ('MONTHLY', 5, '1 year 2 months 3 days', null::text, null::integer) $$,
    'the same name in other letters is the same package, all of which is changed'
);
reset role;
select results_eq(
    'select p.name, p.credits from bookingdb.packages as p', $$ values ('MONTHLY', 5) $$, 'it is one row'
);

-- Refusals
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'code'
        from pg_temp.error_of('select public.set_package(''A'', 1, p_package_id => pg_temp.nobody())') as e
    $$,
    $$ values ('PT404', 'package_not_found') $$,
    'an id creates nothing'
);
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'parameter'
        from pg_temp.error_of('select public.set_package(''A'', 1, interval ''12 hours'')') as e
    $$,
    $$ values ('PT400', 'p_validity') $$,
    'credits end with a day'
);

select * from finish();
rollback;
