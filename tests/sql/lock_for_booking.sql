-- lock_for_booking(): take the locks of people in the right order, before booking several times.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    lock_for_booking(p_people uuid[]) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('lock_for_booking', 'authenticated', 'service_role');

-- Which of these people the transaction has locked. (Whoever registers a therapist with a time zone locks them, too.)
create function pg_temp.locked(p_people uuid[]) returns uuid[] language sql as $$
select array(
    select p.id
    from pg_locks as l
    inner join unnest(p_people) as p (id)
        on (l.classid::bigint << 32) | l.objid::bigint = bookingdb.person_key(p.id)
    where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and l.pid = pg_backend_pid()
    order by p.id
)
$$;
create temporary table before on commit drop as select pg_temp.locked(array[pg_temp.other_client()]) as people;

-- Example
select pg_temp.act_as('authenticated', pg_temp.other_client());
select lives_ok(
    $$ select public.lock_for_booking(array[pg_temp.therapist(), pg_temp.other_client(), pg_temp.other_therapist()]) $$,
    'clients lock themselves and two therapists'
);
reset role;
select is(
    (
        select b.people || pg_temp.locked(array_agg(p.id))
        from before as b
        cross join unnest(array[pg_temp.therapist(), pg_temp.other_client(), pg_temp.other_therapist()]) as p (id)
        group by b.people
    ),
    (
        select array_agg(p.id order by p.id)
        from unnest(array[pg_temp.therapist(), pg_temp.other_client(), pg_temp.other_therapist()]) as p (id)
    ),
    'all three are locked until the transaction ends'
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
