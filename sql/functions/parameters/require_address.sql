create or replace function bookingdb.require_address(p_parameter text, p_email text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_email is null or char_length(p_email) > 320 or p_email !~ '^[^@[:space:]]+@[^@[:space:]]+$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'reason', 'no_address'
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_address(text, text) is
'Refuses what is no e-mail address, NULL too. Raises: invalid_parameter.';
