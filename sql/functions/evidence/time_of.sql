create or replace function bookingdb.time_of(p_text text)
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_text::timestamptz;
exception
    when invalid_datetime_format or datetime_field_overflow or invalid_parameter_value then
        return null;
end;
$function$;

comment on function bookingdb.time_of(text) is
'Reads a time that is written as text. NULL where it is none.';
