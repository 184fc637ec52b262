-- get_credit_balance(): the credits that a client can spend now.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    get_credit_balance(p_user_id uuid) returns integer
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_credit_balance', 'authenticated', 'service_role');

-- Of four lots two count: one has expired, one was revoked
select g.lot_balance from public.grant_credits(pg_temp.client(), 3) as g;
insert into public.user_credits (user_id, credits_balance, expires_at, status)
values
(pg_temp.client(), 10, now() - interval '1 second', 'active'), (pg_temp.client(), 20, null, 'revoked');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select is(public.get_credit_balance(pg_temp.client()), 8, 'the client sees the sum of the lots that count');
reset role;
select is(public.get_credit_balance(pg_temp.other_client()), 0, 'another client has none');

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.get_credit_balance(pg_temp.client())') as e $$,
    $$
        values (
            'PT403', 'Not allowed to act for this user', jsonb_build_object(
                'code', 'not_allowed', 'user_id', pg_temp.client()
            )
        )
    $$,
    'nobody sees the credits of somebody else'
);
reset role;

select * from finish();
rollback;
