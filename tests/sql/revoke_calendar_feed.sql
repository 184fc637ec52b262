-- revoke_calendar_feed(): a secret address is over.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    revoke_calendar_feed(p_user_id uuid)
    returns boolean
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('revoke_calendar_feed', 'authenticated', 'service_role');

-- Given
create temporary table feed as
select public.create_calendar_feed(pg_temp.client()) as secret;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select public.revoke_calendar_feed(pg_temp.client()) from generate_series(1, 2)', array[true, false],
    'a user revokes it, once'
);

-- Refusal
select results_eq(
    $$ select e.sqlstate from pg_temp.error_of('select public.revoke_calendar_feed(pg_temp.other_client())') as e $$,
    array['PT403'],
    'nobody else''s'
);

reset role;
select is_empty('select from bookingdb.calendar_feeds as c', 'nothing of it is left');

select * from finish();
rollback;
