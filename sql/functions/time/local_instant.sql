create or replace function bookingdb.local_instant(p_date date, p_time time, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_instant timestamptz;
begin
    -- The range is checked before any arithmetic: 'infinity', BC and the year 294276 would overflow.
    if p_date is null or p_date < date '1900-01-01' or p_date > date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_time is null or extract(second from p_time) <> 0 or p_time = time '24:00' then
        perform bookingdb.raise_error('invalid_time');
    end if;

    v_instant := bookingdb.wall_clock_instant(p_date + p_time, p_time_zone, true);
    if v_instant is null then
        perform bookingdb.raise_error('skipped_time', jsonb_build_object('time_zone', p_time_zone));
    end if;
    return v_instant;
exception
    when invalid_parameter_value then
        perform bookingdb.require_time_zone(p_time_zone);
        raise;
end;
$function$;

comment on function bookingdb.local_instant(date, time, text) is
'Returns the timestamp of a local date and time in a zone of resolve_time_zone(). A time that occurs twice means the first. Raises: invalid_date, invalid_time, skipped_time.';
