create or replace function bookingdb.find_destination(p_name text)
returns bookingdb.destinations
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_destination bookingdb.destinations;
begin
    select d.* into v_destination from bookingdb.destinations as d where d.name = p_name;
    if v_destination.id is null then
        perform bookingdb.raise_error('destination_not_found', jsonb_build_object('destination', left(p_name, 63)));
    end if;
    return v_destination;
end;
$function$;

comment on function bookingdb.find_destination(text) is
'Returns the destination of this name. Raises: destination_not_found.';
