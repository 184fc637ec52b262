-- get_credit_history(): the entries of a client's ledger, newest first.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    get_credit_history(p_user_id uuid, p_limit integer default 50, p_before timestamptz default null)
    returns table (
        id bigint, created_at timestamptz, kind text, amount integer, balance_after integer, lot_id uuid,
        session_id uuid, actor text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_credit_history', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select h.kind, h.amount, h.balance_after, h.session_id
        from public.get_credit_history(pg_temp.client()) as h
    $$,
    $$ values ('debit', -1, 4, pg_temp.session('booked')), ('grant', 5, 5, null) $$,
    'the client sees what came and went, with what was left in the lot'
);
select results_eq(
    'select h.kind from public.get_credit_history(pg_temp.client(), 1) as h', array['debit'], 'a page at a time'
);
select results_eq(
    $$
        select n.kind
        from public.get_credit_history(pg_temp.client(), 1) as h
        cross join lateral public.get_credit_history(pg_temp.client(), 1, h.created_at) as n
    $$,
    array['grant'], 'the next page is what is older than the last timestamp of this one'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'parameter'
        from pg_temp.error_of('select public.get_credit_history(pg_temp.client(), 1001)') as e
    $$,
    $$ values ('PT400', 'Invalid parameter', 'p_limit') $$,
    'a page has 1000 entries at most'
);

select * from finish();
rollback;
