-- get_credit_statement(): a client's credits over a period: it opens with a balance, adds up, and closes with one.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    get_credit_statement(p_user_id uuid, p_from timestamptz, p_to timestamptz)
    returns table (
        entry_id bigint, created_at timestamptz, kind text, amount integer, balance bigint, lot_id uuid,
        session_id uuid, reason text, actor text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_credit_statement', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select s.kind, s.amount, s.balance, s.session_id
        from public.get_credit_statement(pg_temp.client(), '2000-01-01', '2900-01-01') as s
    $$,
    $$
        values
        ('opening', null::integer, bigint '0', null::uuid),
        ('grant', 5, 5, null),
        ('debit', -1, 4, pg_temp.session('booked')),
        ('closing', null, 4, null)
    $$,
    'the client sees each entry with the balance after it'
);
select results_eq(
    $$
        select s.kind, s.balance, s.created_at
        from public.get_credit_statement(pg_temp.client(), '2800-01-01 00:00+00', '2900-01-01 00:00+00') as s
    $$,
    $$
        values
        ('opening', bigint '4', timestamptz '2800-01-01 00:00+00'), ('closing', 4, timestamptz '2900-01-01 00:00+00')
    $$,
    'a period without entries closes as it opens'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.get_credit_statement(pg_temp.client(), ''2030-02-01'', ''2030-01-01'')'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_to", "reason": "before_from"}'
        )
    $$,
    'a period does not end before it begins'
);

select * from finish();
rollback;
