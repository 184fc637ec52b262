create or replace function bookingdb.try_lock_people(p_people uuid[])
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_keys constant bigint[] := bookingdb.lock_keys(p_people);
begin
    if cardinality(v_keys) = 1 then
        return pg_try_advisory_xact_lock(v_keys[1]);
    end if;
    if not coalesce(pg_try_advisory_xact_lock_shared(v_keys[1]), true) then
        return false;
    end if;
    for v_place in 2..cardinality(v_keys) loop
        if not pg_try_advisory_xact_lock(v_keys[v_place]) then
            return false;
        end if;
    end loop;
    return true;
end;
$function$;

comment on function bookingdb.try_lock_people(uuid[]) is
'Takes the advisory locks of these people until the transaction ends, without waiting. Returns false at the first that is not free; lock_people() may then take them in the same order.';
