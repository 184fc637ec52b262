-- transfer_credits(): pass credits of one client on to another.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    transfer_credits(
        p_from_user_id uuid, p_to_user_id uuid, p_amount integer, p_reason text, p_lot_id uuid default null,
        p_idempotency_key text default null
    )
    returns table (lot_ids uuid[], amount integer, from_balance integer, to_balance integer)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('transfer_credits', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select cardinality(t.lot_ids), t.amount, t.from_balance, t.to_balance
        from public.transfer_credits(pg_temp.client(), pg_temp.other_client(), 2, 'a present') as t
    $$,
    'values (1, 2, 3, 2)',
    'a trusted caller passes 2 of 5 credits on'
);
reset role;
select results_eq(
    $$
        select c.user_id, c.credits_balance, c.credits_purchased, c.status
        from public.user_credits as c
        order by c.credits_purchased desc
    $$,
    $$ values (pg_temp.client(), 3, 5, 'active'), (pg_temp.other_client(), 2, 0, 'active') $$,
    'they are a lot of the receiver, who bought nothing'
);
select results_eq(
    $$
        select l.user_id, l.amount, l.balance_after, l.reason, l.actor, s.payment_reference::text
        from bookingdb.ledger as l
        left join public.user_credits as s on s.id = l.source_lot_id
        where l.kind = 'transfer'
        order by l.id
    $$,
    $$
        values
        (pg_temp.client(), -2, 3, 'a present', 'service_role', null),
        (pg_temp.other_client(), 2, 2, 'a present', 'service_role', 'a payment'::text)
    $$,
    'the ledger has an entry for both, with the reason and the lot they came from'
);
select results_eq(
    $$
        select o.payload ->> 'user_id', o.payload -> 'amount'
        from bookingdb.outbox as o
        where o.event = 'credits.transferred'
        order by o.id
    $$,
    $$ values (pg_temp.client()::text, jsonb '-2'), (pg_temp.other_client()::text, '2') $$,
    'an event tells of each'
);

-- Refusals
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'code', e.detail ->> 'credits_balance'
        from pg_temp.error_of(
            'select public.transfer_credits(pg_temp.client(), pg_temp.other_client(), 4, ''too many'')'
        ) as e
    $$,
    $$ values ('PT402', 'insufficient_credits', '3') $$,
    'more than the client has is not passed on'
);
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'parameter', e.detail ->> 'reason'
        from pg_temp.error_of(
            'select public.transfer_credits(pg_temp.client(), pg_temp.client(), 1, ''to myself'')'
        ) as e
    $$,
    $$ values ('PT400', 'p_to_user_id', 'same_person') $$,
    'nor to the same person'
);

select * from finish();
rollback;
