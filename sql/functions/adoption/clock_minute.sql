create or replace function bookingdb.clock_minute(p_text text)
returns integer
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_text constant text := lower(btrim(p_text));
    v_found text[];
begin
    -- Applications write the end of a day in these ways.
    if v_text in ('24:00', '24:00:00', '23:59:59') then
        return 1440;
    end if;
    v_found := regexp_match(v_text, '^([01]?[0-9]|2[0-3]):([0-5][0-9])(:00)?$');
    if v_found is not null then
        return v_found[1]::integer * 60 + v_found[2]::integer;
    end if;
    -- 12:30 AM is half past midnight.
    v_found := regexp_match(v_text, '^(0?[1-9]|1[0-2]):([0-5][0-9])(:00)? ?([ap])m$');
    if v_found is not null then
        return v_found[1]::integer % 12 * 60 + v_found[2]::integer + case v_found[4] when 'p' then 720 else 0 end;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.clock_minute(text) is
'Returns the minute of the day that an application''s text names: HH:MM, HH:MM:00, or h:MM AM or PM. 24:00 and 23:59:59 are 1440. NULL for all else, other seconds and zones included.';
