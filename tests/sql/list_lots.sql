-- list_lots(): a clients lots in spending order.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_lots(p_user_id uuid, p_include_empty boolean default false)
    returns table (
        lot_id uuid, user_id uuid, state text, lot_balance integer, credits_purchased integer, credits_owed integer,
        category text, priority integer, expires_at timestamptz, frozen_at timestamptz, payment_reference text,
        package_id uuid, grace_for_lot_id uuid, created_at timestamptz
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_lots', 'authenticated', 'service_role');

-- Given
create temporary table lot as
select g.lot_id as id from public.grant_credits(pg_temp.client(), 3, p_expires_on => pg_temp.monday()) as g;
grant select on lot to authenticated, service_role;

select l.state from public.freeze_lot((select id from lot), 'on leave') as l;
update public.user_credits as c set credits_balance = 0
where c.payment_reference = 'a payment';

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select l.lot_id, l.state, l.lot_balance from public.list_lots(pg_temp.client()) as l $$,
    $$ select t.id, 'frozen', 3 from lot as t $$,
    'the client sees where credits are left'
);
select results_eq(
    $$ select l.state, l.credits_purchased, l.payment_reference from public.list_lots(pg_temp.client(), true) as l $$,
    $$ values ('frozen', 3, null), ('used', 5, 'a payment') $$,
    'and, if asked, where none are'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of('select public.list_lots(pg_temp.client())') as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', 'not_allowed') $$, 'and nobody else''s'
);
reset role;

select * from finish();
rollback;
