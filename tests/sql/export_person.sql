-- export_person(): everything that is held of a person.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    export_person(p_user_id uuid) returns jsonb
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('export_person', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select
            e.held -> 'people' -> 0 ->> 'email',
            e.held -> 'sessions' -> 0 ->> 'title',
            e.held -> 'user_credits' -> 0 ->> 'payment_reference'
        from public.export_person(pg_temp.client()) as e (held)
    $$,
    $$ values ('a@client.test', 'booked', 'a payment') $$,
    'users read what is held of them'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.export_person(pg_temp.other_client())') as e $$,
    $$
        values (
            'PT403', 'Not allowed to act for this user',
            jsonb_build_object('code', 'not_allowed', 'user_id', pg_temp.other_client())
        )
    $$,
    'and of nobody else'
);
reset role;
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.export_person(pg_temp.nobody())') as e $$,
    $$
        values ('PT404', 'User not found', jsonb_build_object('code', 'user_not_found', 'user_id', pg_temp.nobody()))
    $$,
    'nothing is held of nobody'
);

select * from finish();
rollback;
