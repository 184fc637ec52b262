create or replace function bookingdb.lock_keys(p_people uuid[])
returns bigint[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Everybody holds this key shared, so that whoever has very many people to lock can take it alone instead: the
    -- server's lock table has room for some thousands of locks, not for a bulk update's worth of them.
    c_everybody constant bigint := 7238106512347103;
    c_too_many constant integer := 64;
    v_first bigint;
    v_second bigint;
    v_keys bigint[];
begin
    -- In the order of the keys, everywhere: two bookings that want the same people never wait for each other crosswise.
    if cardinality(p_people) = 2 and p_people[1] is not null and p_people[2] is not null then
        -- A booking's: without a query. (A lock can be taken twice.)
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
'The keys of the advisory locks of these people, in the order in which they are taken; nulls and duplicates are passed over. The first is everybody''s, which is shared where others follow and taken alone where there are too many people to follow; nobody has no keys.';
