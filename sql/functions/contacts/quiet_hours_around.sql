create or replace function bookingdb.quiet_hours_around(
    p_at timestamptz,
    p_time_zone text,
    p_from time,
    p_until time
)
returns tstzrange
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_local timestamp;
    v_begin_local timestamp;
    v_end_local timestamp;
    v_begin timestamptz;
    v_end timestamptz;
begin
    v_local := p_at at time zone p_time_zone;
    if (
        case
            when p_from < p_until then v_local::time >= p_from and v_local::time < p_until
            else v_local::time >= p_from or v_local::time < p_until
        end
    ) is not true then
        return null;
    end if;

    -- They may have begun on the local day before.
    v_begin_local := v_local::date - (p_from > p_until and v_local::time < p_until)::integer + p_from;
    v_end_local := v_begin_local::date + (p_from > p_until)::integer + p_until;
    -- A local time can occur twice: the begin is the last one until then, the end the first one after. One that a clock
    -- change skips is the jump itself. (Postgres takes the second one, wall_clock_instant() the first.)
    v_begin := v_begin_local at time zone p_time_zone;
    if v_begin > p_at or v_begin at time zone p_time_zone <> v_begin_local then
        v_begin := bookingdb.wall_clock_instant(v_begin_local, p_time_zone);
    end if;
    v_end := bookingdb.wall_clock_instant(v_end_local, p_time_zone);
    if v_end <= p_at then
        v_end := v_end_local at time zone p_time_zone;
    end if;
    return tstzrange(least(v_begin, p_at), greatest(v_end, p_at));
exception
    when invalid_parameter_value then
        -- The server has lost the zone since it was chosen.
        return null;
end;
$function$;

comment on function bookingdb.quiet_hours_around(timestamptz, text, time, time) is
'Returns a person''s quiet hours that a timestamp is in, else NULL. They follow the clocks of the zone; p_from may be later in the day than p_until.';
