create or replace function bookingdb.override_windows(p_rows jsonb, p_columns jsonb, p_week int4multirange)
returns table (
    start_time time,
    end_time time,
    problem text
)
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_is_closed boolean;
    v_open int4multirange;
    v_off int4multirange;
    v_problems text[];
begin
    select
        bool_or(p.part = 'closed'),
        range_agg(int4range(p.starts, p.ends)) filter (where p.part = 'open'),
        range_agg(int4range(p.starts, p.ends)) filter (where p.part = 'off'),
        array_agg(p.problem) filter (where p.problem is not null)
    into v_is_closed, v_open, v_off, v_problems
    from jsonb_array_elements(p_rows) as r
    cross join lateral bookingdb.override_parts(r.value, p_columns) as p;

    if v_problems is not null then
        return query
        select null::time, null::time, p.text
        from unnest(v_problems) as p (text);
        return;
    end if;
    if not coalesce(v_is_closed, false) and v_open is null and v_off is null then
        return;
    end if;

    -- Times off are taken out of the hours of the date, or else of the week.
    v_open := case when v_is_closed then '{}' else bookingdb.subtract_off_minutes(coalesce(v_open, p_week), v_off) end;
    if exists (select from unnest(v_open) as o (minutes) where lower(o.minutes) >= 1440) then
        problem := 'what is left of the hours begins on the next date';
        return next;
    elsif isempty(v_open) then
        return next;
    else
        return query
        select w.start_time, w.end_time, null::text
        from bookingdb.minute_windows(v_open) as w;
    end if;
end;
$function$;

comment on function bookingdb.override_windows(jsonb, jsonb, int4multirange) is
'Combines an application''s overrides of a date into windows: closed wins, open replaces the week (p_week), off is taken out. No times: closed; no row: the week; problem: not understood.';
