-- Asked by row security.
create or replace function bookingdb.actor_id()
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_acting_as constant text := nullif(current_setting('bookingdb.acting_as', true), '');
    v_user_id text;
begin
    if v_acting_as is not null and bookingdb.role_is_trusted(bookingdb.effective_role()) then
        v_user_id := v_acting_as;
    else
        v_user_id := bookingdb.jwt_claims() ->> 'sub';
        -- A logged-in user who claims to act as somebody else is nobody, rather than silently themselves.
        if lower(v_acting_as) <> lower(v_user_id) then
            v_user_id := null;
        end if;
    end if;

    return bookingdb.uuid_of(v_user_id);
end;
$function$;

comment on function bookingdb.actor_id() is
'Returns the user whom the caller''s JWT names (claim sub), or as whom a trusted caller acts, or NULL. Row policies call it, so callers can execute it; it tells them only about themselves.';
