create or replace function bookingdb.require_time_zone(p_time_zone text)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not bookingdb.is_time_zone(p_time_zone) then
        perform bookingdb.raise_error('invalid_time_zone', jsonb_build_object(
            'time_zone', p_time_zone,
            'alias', (select z.alias from bookingdb.time_zones as z where z.name = p_time_zone)
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_time_zone(text) is
'Refuses a zone that this server has lost since it was chosen. DETAIL names it, and an alias once refresh_time_zones() has found one. Raises: invalid_time_zone.';
