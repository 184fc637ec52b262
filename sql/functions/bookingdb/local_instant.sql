create or replace function bookingdb.local_instant(p_date date, p_time time, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_local timestamp;
    v_instant timestamptz;
    v_day_before timestamptz;
    v_first timestamptz;
begin
    -- TimeZone is set above because Postgres 18 looks a zone's name up among the abbreviations of the connection's
    -- TimeZone first, and with '<EUROPE/BERLIN>+9' that is one.

    -- The range before any arithmetic: 'infinity', BC and the year 294276 all overflow something further on.
    if p_date is null or p_date < date '1900-01-01' or p_date > date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_time is null or extract(second from p_time) <> 0 or p_time = time '24:00' then
        perform bookingdb.raise_error('invalid_time');
    end if;

    v_local := p_date + p_time;
    v_instant := v_local at time zone p_time_zone;

    -- A local time that the clocks jump over comes back as another one.
    if v_instant at time zone p_time_zone <> v_local then
        perform bookingdb.raise_error('skipped_time', jsonb_build_object('time_zone', p_time_zone));
    end if;

    -- Of a local time that occurs twice Postgres takes the second; we mean the first, like everybody's calendar.
    -- The first is the one with the offset that held the day before.
    v_day_before := v_instant - interval '24 hours';
    v_first := (v_local - (v_day_before at time zone p_time_zone - v_day_before at time zone interval '0'))
        at time zone interval '0';
    if v_first < v_instant and v_first at time zone p_time_zone = v_local then
        return v_first;
    end if;
    return v_instant;
end;
$function$;

comment on function bookingdb.local_instant(date, time, text) is
'The instant of a local date and time in a zone (one that resolve_time_zone returned). A time that occurs twice means the first. Raises invalid_date, invalid_time, skipped_time.';
