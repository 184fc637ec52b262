create or replace function bookingdb.occupies_time(p_status text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress');
end;
$function$;

comment on function bookingdb.occupies_time(text) is
'Whether a session in this status takes place, and so has a row in the calendar.';
