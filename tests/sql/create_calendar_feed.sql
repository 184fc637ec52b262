-- create_calendar_feed(): a secret address of a calendar.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    create_calendar_feed(p_user_id uuid)
    returns text
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('create_calendar_feed', 'authenticated', 'service_role');

-- Example
create temporary table feed (secret text);
grant select, insert on feed to authenticated;
select pg_temp.act_as('authenticated', pg_temp.client());
insert into feed (secret) values (public.create_calendar_feed(pg_temp.client()));
reset role;
select matches((select f.secret from feed as f), '^feed_[0-9a-f]{64}$', 'a user gets a secret');
select results_eq(
    'select c.person_id, c.secret_hash from bookingdb.calendar_feeds as c',
    $$ select pg_temp.client(), sha256(convert_to(f.secret, 'UTF8')) from feed as f $$,
    'and its hash is kept'
);
select pg_temp.act_as('authenticated', pg_temp.client());

-- Refusal
select results_eq(
    $$ select e.sqlstate from pg_temp.error_of('select public.create_calendar_feed(pg_temp.other_client())') as e $$,
    array['PT403'],
    'nobody else''s'
);
reset role;

select * from finish();
rollback;
