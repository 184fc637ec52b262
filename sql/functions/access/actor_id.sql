-- Asked by row security.
create or replace function bookingdb.actor_id()
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_sub constant text := bookingdb.jwt_claims() ->> 'sub';
begin
    if v_sub ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
        return v_sub::uuid;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.actor_id() is
'Returns the user whom the caller''s JWT names (claim sub), or NULL. Row policies call it, so callers can execute it; it tells them only about themselves.';
