-- list_packages(): what the practice sells, by name.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_packages(p_include_inactive boolean default false)
    returns table (
        id uuid, name text, credits integer, validity text, price_reference text, rollover_cap integer, category text,
        priority integer, is_active boolean
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_packages', 'authenticated', 'service_role');

select p.id from public.set_package('Ten', 10, '1 year', 'price_10') as p;
select p.id from public.set_package('five', 5, '30 days') as p;
select p.id from public.set_package('Old', 1, p_active => false) as p;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select p.name, p.credits, p.validity, p.price_reference from public.list_packages() as p $$,
    $$ values ('five', 5, '30 days', null::text), ('Ten', 10, '1 year', 'price_10') $$,
    'a client sees what is sold'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'parameter'
        from pg_temp.error_of('select public.list_packages(true)') as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', 'p_include_inactive') $$,
    'and not what is not sold any more'
);
reset role;
select results_eq(
    'select p.name, p.is_active from public.list_packages(true) as p',
    $$ values ('five', true), ('Old', false), ('Ten', true) $$,
    'which trusted callers see'
);

select * from finish();
rollback;
