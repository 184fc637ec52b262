-- lock_for_booking(): take the locks of people in the right order, before booking several times.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    lock_for_booking(p_people uuid[]) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('lock_for_booking', 'authenticated', 'service_role');

-- How many locks the transaction has
create function pg_temp.locks() returns bigint language sql
return (
    select count(*) from pg_locks as l
    where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and l.pid = pg_backend_pid()
);
create temporary table before on commit drop as select pg_temp.locks() as locks;

-- Example
select pg_temp.act_as('authenticated', pg_temp.other_client());
select lives_ok(
    $$ select public.lock_for_booking(array[pg_temp.therapist(), pg_temp.other_client(), pg_temp.other_therapist()]) $$,
    'clients lock themselves and two therapists'
);
reset role;
select is(
    pg_temp.locks(), (select b.locks + 3 from before as b), 'all three are locked until the transaction ends'
);
select lives_ok(
    $$ select public.lock_for_booking(array[pg_temp.client(), pg_temp.client()]) $$, 'people may be named again'
);

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.lock_for_booking(array[pg_temp.client(), pg_temp.other_client()])'
        ) as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'a client does not lock another client'
);
reset role;

select * from finish();
rollback;
