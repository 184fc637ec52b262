-- merge_clients(): make two clients one.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    merge_clients(p_from_user_id uuid, p_into_user_id uuid, p_reason text default null)
    returns table (user_id uuid, sessions integer, credits integer, credits_balance integer)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('merge_clients', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$ select m.* from public.merge_clients(pg_temp.client(), pg_temp.other_client(), 'twice') as m $$,
    $$ values (pg_temp.other_client(), 1, 4, 4) $$,
    'a trusted caller makes two clients one: the session and the credits pass on'
);
reset role;
select results_eq(
    'select s.user_id, c.client_id from public.sessions as s inner join bookingdb.calendar as c on s.id = c.id',
    $$ values (pg_temp.other_client(), pg_temp.other_client()) $$,
    'with their place in the calendar'
);
select results_eq(
    $$
        select l.user_id, l.amount, l.balance_after, l.reason
        from bookingdb.ledger as l
        where l.kind = 'transfer'
        order by l.id
    $$,
    $$ values (pg_temp.client(), -4, 0, 'twice'), (pg_temp.other_client(), 4, 4, 'twice') $$,
    'the ledger has a pair of entries'
);
select results_eq(
    'select u.email, u.full_name, u.is_active from public.users as u where u.id = pg_temp.client()',
    $$ values (null::text, null::text, false) $$,
    'the first is deactivated, without name and address'
);
select results_eq(
    $$ select o.payload from bookingdb.outbox as o where o.event = 'person.merged' $$,
    $$
        values (jsonb_build_object(
            'user_id', pg_temp.other_client(), 'old_user_id', pg_temp.client(), 'kind', 'merge', 'sessions', 1,
            'credits', 4
        ))
    $$,
    'and the event names both'
);

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.merge_clients(pg_temp.other_client(), pg_temp.therapist())'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter', jsonb_build_object(
                'code', 'invalid_parameter', 'parameter', 'p_into_user_id', 'reason', 'of_another_kind',
                'user_id', pg_temp.therapist()
            )
        )
    $$,
    'a therapist is no client'
);

select * from finish();
rollback;
