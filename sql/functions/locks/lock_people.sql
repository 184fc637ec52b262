create or replace function bookingdb.lock_people(p_people uuid[], p_wait boolean default true)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_keys bigint[];
begin
    if bookingdb.try_lock_people(p_people) then
        return;
    end if;
    v_keys := bookingdb.lock_keys(p_people);
    for v_place in 1..cardinality(v_keys) loop
        perform bookingdb.lock_key(v_keys[v_place], v_place = 1 and cardinality(v_keys) > 1, p_wait);
    end loop;
end;
$function$;

comment on function bookingdb.lock_people(uuid[], boolean) is
'Takes the advisory locks of these people until the transaction ends, ignoring NULLs and duplicates. The next statement sees what the last holder committed.';
