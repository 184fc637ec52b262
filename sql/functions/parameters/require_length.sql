create or replace function bookingdb.require_length(
    p_parameter text,
    p_value text,
    p_minimum integer,
    p_maximum integer
)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if char_length(p_value) not between p_minimum and p_maximum then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'minimum_length', p_minimum, 'maximum_length', p_maximum
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_length(text, text, integer, integer) is
'Refuses a text with fewer or more characters than given. NULL is allowed. Raises: invalid_parameter.';
