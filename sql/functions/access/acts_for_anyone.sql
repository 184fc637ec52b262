-- Inlined.
create or replace function bookingdb.acts_for_anyone()
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An actor has the rights of their user alone. Anyone can make the setting, but only to their own loss.
    return coalesce(current_setting('bookingdb.acting_as', true), '') = ''
        and bookingdb.role_is_trusted(bookingdb.effective_role());
end;
$function$;

comment on function bookingdb.acts_for_anyone() is
'What caller_is_trusted() says, inside the engine: the caller''s role is trusted, and does not act as a user.';
