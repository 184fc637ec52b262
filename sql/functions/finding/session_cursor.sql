create or replace function bookingdb.session_cursor(p_start_time timestamptz, p_session_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO'
set timezone = 'UTC'
as $function$
begin
    return regexp_replace(coalesce(p_start_time::text, 'none'), '^(\S+) (\S+)\+00$', '\1T\2Z') || '_' || p_session_id;
end;
$function$;

comment on function bookingdb.session_cursor(timestamptz, uuid) is
'Writes a session''s place in a list as a text without white space: its start in UTC, exactly, and its id.';
