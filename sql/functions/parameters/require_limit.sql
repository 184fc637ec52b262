create or replace function bookingdb.require_limit(p_limit integer)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_limit is null or p_limit not between 1 and 1000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_limit', 'minimum', 1, 'maximum', 1000
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_limit(integer) is
'Refuses a number of rows other than 1 to 1000. Raises: invalid_parameter.';
