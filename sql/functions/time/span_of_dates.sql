create or replace function bookingdb.span_of_dates(p_from date, p_to date, p_time_zone text)
returns tstzrange
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_from is null or p_from not between date '1900-01-01' and date '2999-12-31'
        or p_to is null or p_to not between date '1900-01-01' and date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_to < p_from or p_to - p_from > 365 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'maximum_days', 366
        ));
    end if;
    return tstzrange(
        bookingdb.wall_clock_instant(p_from, p_time_zone), bookingdb.wall_clock_instant(p_to + 1, p_time_zone)
    );
exception
    when invalid_parameter_value then
        perform bookingdb.require_time_zone(p_time_zone);
        raise;
end;
$function$;

comment on function bookingdb.span_of_dates(date, date, text) is
'Returns the time from the beginning of one date of a zone to the end of another, a year at most. Raises: invalid_date, invalid_parameter.';
