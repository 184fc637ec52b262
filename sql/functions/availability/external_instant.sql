create or replace function bookingdb.external_instant(p_text text, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    c_date constant text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}';
    c_time constant text := '[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?';
    c_offset constant text := ' ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)';
    v_local timestamp;
    v_minute timestamp;
begin
    if p_text ~ (c_date || c_time || c_offset || '$') then
        return p_text::timestamptz;
    end if;
    if p_text !~ (c_date || '(' || c_time || ')?$') then
        return null;
    end if;

    -- A date is its midnight. Only whole minutes are looked up: the end of a jump has no seconds.
    v_local := p_text;
    if v_local < timestamp '1900-01-01 00:00' or v_local >= timestamp '3000-01-01 00:00' then
        return v_local at time zone interval '0';
    end if;
    v_minute := date_trunc('minute', v_local);
    return coalesce(
        bookingdb.wall_clock_instant(v_minute, p_time_zone, true) + (v_local - v_minute),
        bookingdb.wall_clock_instant(v_minute, p_time_zone)
    );
end;
$function$;

comment on function bookingdb.external_instant(text, text) is
'Reads a time of another calendar: with an offset, local to p_time_zone, or a date, its midnight there. NULL: none of these. A skipped time is the end of the jump. Raises: 22000.';
