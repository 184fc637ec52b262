create or replace function bookingdb.lock_keys(p_people uuid[])
returns bigint[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Everybody shares this key, so that a bulk update can take it alone instead of a key for each person: the server's
    -- lock table has room for some thousands of locks.
    c_everybody constant bigint := 7238106512347103;
    c_too_many constant integer := 64;
    v_first bigint;
    v_second bigint;
    v_keys bigint[];
begin
    -- Locks are taken in the order of their keys everywhere: two bookings of the same people cannot deadlock.
    if cardinality(p_people) = 2 and p_people[1] is not null and p_people[2] is not null then
        -- A booking has two people: no query is needed. (A lock can be taken twice.)
        v_first := bookingdb.person_key(p_people[1]);
        v_second := bookingdb.person_key(p_people[2]);
        return array[c_everybody, least(v_first, v_second), greatest(v_first, v_second)];
    end if;

    select array_agg(distinct bookingdb.person_key(p.id) order by bookingdb.person_key(p.id))
    into v_keys
    from unnest(p_people) as p (id)
    where p.id is not null;
    if v_keys is null then
        return '{}';
    end if;
    if cardinality(v_keys) > c_too_many then
        return array[c_everybody];
    end if;
    return c_everybody || v_keys;
end;
$function$;

comment on function bookingdb.lock_keys(uuid[]) is
'Returns the keys of these people''s advisory locks in lock order, ignoring NULLs and duplicates. The first is everybody''s: shared, but taken alone for more than 64 people. No people have no keys.';
