create or replace function bookingdb.event_is_wanted(p_events text[], p_type text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_events && array[p_type, split_part(p_type, '.', 1) || '.*', '*'];
end;
$function$;

comment on function bookingdb.event_is_wanted(text[], text) is
'Says whether a destination with these events is told of this type: by its name, by session.* or the like, or by *.';
