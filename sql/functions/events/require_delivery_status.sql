create or replace function bookingdb.require_delivery_status(p_parameter text, p_status text)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_allowed constant text[] := '{pending,delivered,dead,dropped}';
begin
    if p_status <> all (c_allowed) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'allowed', c_allowed
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_delivery_status(text, text) is
'Refuses what is no status of a delivery; NULL is allowed. Raises: invalid_parameter.';
