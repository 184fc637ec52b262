create or replace function bookingdb.lock_people(p_people uuid[], p_wait boolean default true)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Everybody holds this key shared, so that whoever has very many people to lock can take it alone instead: the
    -- server's lock table has room for some thousands of locks, not for a bulk update's worth of them.
    c_everybody constant bigint := 7238106512347103;
    c_too_many constant integer := 64;
    v_keys bigint[];
    v_key bigint;
    v_first bigint;
    v_second bigint;
begin
    -- In the order of the keys, everywhere: two bookings that want the same people never wait for each other crosswise.
    if cardinality(p_people) = 2 then
        -- A booking's: without a query. (Nulls are passed over by both, and a lock can be taken twice.)
        v_first := bookingdb.person_key(p_people[1]);
        v_second := bookingdb.person_key(p_people[2]);
        v_keys := array_remove(array[least(v_first, v_second), greatest(v_first, v_second)], null);
    else
        select array_agg(distinct bookingdb.person_key(p.id) order by bookingdb.person_key(p.id))
        into v_keys
        from unnest(p_people) as p (id)
        where p.id is not null;
    end if;

    if cardinality(v_keys) > c_too_many then
        perform bookingdb.lock_key(c_everybody, false, p_wait);
        return;
    end if;

    -- Whatever is free is taken here; waiting is lock_key's.
    if not pg_try_advisory_xact_lock_shared(c_everybody) then
        perform bookingdb.lock_key(c_everybody, true, p_wait);
    end if;
    foreach v_key in array coalesce(v_keys, '{}') loop
        if not pg_try_advisory_xact_lock(v_key) then
            perform bookingdb.lock_key(v_key, false, p_wait);
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.lock_people(uuid[], boolean) is
'Takes the advisory locks of these people until the transaction ends; nulls and duplicates are passed over. The statement after it sees what the last holder committed. Raises busy (one is not free and p_wait is false, or lock_timeout runs out).';
