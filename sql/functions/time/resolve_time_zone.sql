create or replace function bookingdb.resolve_time_zone(p_time_zone text, p_otherwise text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Without a zone of its own the local time is read in the other, and local_instant() refuses one that is gone.
    if p_time_zone is null then
        return p_otherwise;
    end if;

    if not exists (select from bookingdb.time_zones as z where z.name = p_time_zone) then
        perform bookingdb.raise_error('invalid_time_zone');
    end if;
    if p_time_zone is distinct from p_otherwise then
        perform bookingdb.require_time_zone(p_time_zone);
        perform bookingdb.require_time_zone(p_otherwise);
    end if;
    return p_time_zone;
end;
$function$;

comment on function bookingdb.resolve_time_zone(text, text) is
'Returns the zone of a local time: the one asked for, else p_otherwise (the therapist''s); never the connection''s. Raises: invalid_time_zone.';
