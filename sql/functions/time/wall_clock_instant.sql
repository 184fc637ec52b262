create or replace function bookingdb.wall_clock_instant(p_local timestamp, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_instant timestamptz := p_local at time zone p_time_zone;
    v_day_before timestamptz;
    v_first timestamptz;
    v_before timestamptz;
    v_middle timestamptz;
begin
    -- TimeZone is set above because Postgres 18 looks a zone's name up among the abbreviations of the connection's
    -- TimeZone first, and with '<EUROPE/BERLIN>+9' that is one.

    if v_instant at time zone p_time_zone <> p_local then
        -- The clocks jump over it, and Postgres goes on counting from before the jump. Whoever waits for this time sees
        -- it come with the jump itself: the first instant at which the clock shows as much or more.
        v_before := v_instant - interval '25 hours';
        while v_instant - v_before > interval '1 minute' loop
            v_middle := v_before + date_trunc('minute', (v_instant - v_before) / 2);
            if v_middle at time zone p_time_zone < p_local then
                v_before := v_middle;
            else
                v_instant := v_middle;
            end if;
        end loop;
        return v_instant;
    end if;

    -- Of a local time that occurs twice Postgres takes the second; we mean the first, like everybody's calendar.
    -- The first is the one with the offset that held the day before.
    v_day_before := v_instant - interval '24 hours';
    v_first := (p_local - (v_day_before at time zone p_time_zone - v_day_before at time zone interval '0'))
        at time zone interval '0';
    if v_first < v_instant and v_first at time zone p_time_zone = p_local then
        return v_first;
    end if;
    return v_instant;
end;
$function$;

comment on function bookingdb.wall_clock_instant(timestamp, text) is
'The instant at which the clocks of a zone (one that resolve_time_zone returned) first show a local time: the first of two, and the jump itself for a time that the clocks jump over.';
