create or replace function bookingdb.external_instant(
    p_text text,
    p_time_zone text,
    p_skipped_is_jump boolean default false
)
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
        -- Postgres goes on counting from before the jump, as calendars do: start and end move alike.
        case when p_text ~ c_time and not p_skipped_is_jump then v_local at time zone p_time_zone end,
        bookingdb.wall_clock_instant(v_minute, p_time_zone)
    );
end;
$function$;

comment on function bookingdb.external_instant(text, text, boolean) is
'Reads a time with an offset, a local one, or a date (midnight); else NULL. A skipped time has the offset from before; a date, or with p_skipped_is_jump, the end of the jump. Raises: 22000.';
