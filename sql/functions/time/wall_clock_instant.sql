create or replace function bookingdb.wall_clock_instant(
    p_local timestamp,
    p_time_zone text,
    p_skipped_is_null boolean default false
)
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
    -- TimeZone is set above because Postgres 18 first looks a zone's name up among the abbreviations of the
    -- connection's TimeZone, and '<EUROPE/BERLIN>+9' has one.

    if v_instant at time zone p_time_zone <> p_local then
        if p_skipped_is_null then
            return null;
        end if;
        -- A clock change skips this time, and Postgres goes on counting from before the jump. The answer is the jump
        -- itself: the first moment at which the clock shows this time or a later one.
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

    -- Postgres takes the second of two equal local times; calendars mean the first, which has the offset of the day
    -- before.
    v_day_before := v_instant - interval '24 hours';
    v_first := (p_local - (v_day_before at time zone p_time_zone - v_day_before at time zone interval '0'))
        at time zone interval '0';
    if v_first < v_instant and v_first at time zone p_time_zone = p_local then
        return v_first;
    end if;
    return v_instant;
end;
$function$;

comment on function bookingdb.wall_clock_instant(timestamp, text, boolean) is
'Returns when the clocks of a zone of resolve_time_zone() first show a local time: the first of two, and the jump itself, or NULL, for a time that a clock change skips.';
