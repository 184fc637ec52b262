create or replace function bookingdb.require_category_and_priority(p_category text, p_priority integer)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_category is null or p_category not in ('paid', 'promotional') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_category', 'allowed', jsonb_build_array('paid', 'promotional')
        ));
    end if;
    if p_priority is null or p_priority not between 0 and 100 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_priority', 'minimum', 0, 'maximum', 100
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_category_and_priority(text, integer) is
'Refuses a category that no lot has, and a priority outside 0 to 100. Raises: invalid_parameter.';
