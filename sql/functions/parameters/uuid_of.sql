create or replace function bookingdb.uuid_of(p_text text)
returns uuid
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return case
        when p_text ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then p_text::uuid
    end;
end;
$function$;

comment on function bookingdb.uuid_of(text) is
'Reads an id that is written as text. NULL where it is no UUID.';
