create or replace function bookingdb.require_instant(p_parameter text, p_instant timestamptz)
returns void
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_instant is null
        or p_instant < timestamptz '1900-01-01 00:00:00+00' or p_instant >= timestamptz '3000-01-01 00:00:00+00' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'minimum', '1900-01-01T00:00:00Z', 'maximum', '2999-12-31T23:59:59Z'
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_instant(text, timestamptz) is
'Refuses timestamps that arithmetic cannot use: NULL, before the year 1900, from the year 3000 on. Raises: invalid_parameter.';
