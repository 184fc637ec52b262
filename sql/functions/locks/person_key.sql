-- Inlined.
create or replace function bookingdb.person_key(p_person_id uuid)
returns bigint
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The seed keeps our keys apart from those of applications that hash ids into advisory locks too.
    return uuid_hash_extended(p_person_id, 7238106512347102);
end;
$function$;

comment on function bookingdb.person_key(uuid) is
'Returns the key of a person''s advisory lock: one per person, whether therapist or client.';
