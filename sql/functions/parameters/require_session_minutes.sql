create or replace function bookingdb.require_session_minutes(p_minutes integer)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_minutes is null or p_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
end;
$function$;

comment on function bookingdb.require_session_minutes(integer) is
'Refuses minutes that no policy can allow: NULL, below 15 or above 180. Raises: invalid_duration.';
