create or replace function bookingdb.clock_window(p_start jsonb, p_end jsonb)
returns table (
    starts integer,
    ends integer,
    problem text
)
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_start constant text := nullif(btrim(p_start #>> '{}'), '');
    v_end constant text := nullif(btrim(p_end #>> '{}'), '');
begin
    if v_start is null and v_end is null then
        return;
    end if;

    starts := bookingdb.clock_minute(v_start);
    ends := bookingdb.clock_minute(v_end);
    problem := case
        when v_start is null then 'has an end and no start'
        when v_end is null then 'has a start and no end'
        when starts is null or starts = 1440 then format('starts at "%s", which is no time', left(v_start, 40))
        when ends is null then format('ends at "%s", which is no time', left(v_end, 40))
        -- Equal times may mean no time or all day.
        when starts = ends then format('starts and ends at "%s"', left(v_start, 40))
    end;
    if problem is not null then
        starts := null;
        ends := null;
    else
        -- 23:59 means midnight: an input for times of day has no 24:00.
        ends := case ends when 1439 then 1440 else ends end;
        ends := case when ends <= starts then ends + 1440 else ends end;
    end if;
    return next;
end;
$function$;

comment on function bookingdb.clock_window(jsonb, jsonb) is
'Reads an application''s window as minutes from midnight: an end before the start is on the next day, 23:59 means 24:00. No row without times. problem says what is not understood.';
