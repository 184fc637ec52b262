create or replace function bookingdb.schedule_windows(p_document jsonb)
returns table (
    weekday integer,
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
    c_english constant text[] := array[
        'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'
    ];
    c_german constant text[] := array[
        'montag', 'dienstag', 'mittwoch', 'donnerstag', 'freitag', 'samstag', 'sonntag'
    ];
    v_document constant jsonb := bookingdb.schedule_document(p_document);
    v_days constant jsonb := nullif(v_document -> 'standardHours', 'null');
    v_name text;
    v_day jsonb;
    v_enabled text;
    v_weekday integer;
    v_seen integer[] := '{}';
    v_open int4multirange;
    v_off int4multirange;
    v_hours int4multirange[] := array_fill(int4multirange '{}', array[7]);
    v_found text[];
    v_problems text[] := '{}';
begin
    -- Without a document, or with an empty one, there are no hours. An unknown form is a problem, not empty.
    if jsonb_typeof(v_document) <> 'object' then
        v_problems := array['the schedule is no JSON object'];
    elsif v_days is null and exists (
        select from jsonb_object_keys(v_document) as k where k not in ('standardHours', 'sessionSettings')
    ) then
        v_problems := array['the schedule has no standardHours'];
    elsif jsonb_typeof(v_days) <> 'object' then
        v_problems := array['standardHours is no JSON object'];
    else
        for v_name, v_day in
            select d.key, d.value
            from jsonb_each(v_days) as d
        loop
            v_weekday := coalesce(
                array_position(c_english, lower(btrim(v_name))), array_position(c_german, lower(btrim(v_name)))
            );
            v_enabled := lower(v_day ->> 'enabled');
            if v_weekday is null then
                v_problems := v_problems || format('"%s" is no day', left(v_name, 40));
            elsif v_weekday = any (v_seen) then
                v_problems := v_problems || format('%s is there twice', c_english[v_weekday]);
            elsif v_day <> 'null' and jsonb_typeof(v_day) <> 'object' then
                v_problems := v_problems || format('%s is no JSON object', c_english[v_weekday]);
            elsif v_enabled not in ('true', 'false') then
                v_problems := v_problems || format('%s.enabled is neither true nor false', c_english[v_weekday]);
            elsif v_enabled = 'true' then
                -- Times off win, wherever they stand.
                select
                    range_agg(int4range(p.starts, p.ends)) filter (where p.is_open),
                    range_agg(int4range(p.starts, p.ends)) filter (where not p.is_open),
                    array_agg(c_english[v_weekday] || '.' || p.problem) filter (where p.problem is not null)
                into v_open, v_off, v_found
                from (
                    select w.starts, w.ends, true as is_open, 'generalHours ' || w.problem as problem
                    from bookingdb.clock_window(
                        v_day #> '{generalHours,start}', v_day #> '{generalHours,end}'
                    ) as w
                    union all
                    select null, null, null, 'generalHours is no JSON object'
                    where jsonb_typeof(v_day -> 'generalHours') not in ('object', 'null')
                    union all
                    select s.starts, s.ends, s.is_open, 'timeSlots' || s.problem
                    from bookingdb.schedule_slots(v_day -> 'timeSlots', null) as s
                    union all
                    select s.starts, s.ends, s.is_open, 'customSlots' || s.problem
                    from bookingdb.schedule_slots(v_day -> 'customSlots', null) as s
                ) as p;
                v_hours[v_weekday] := bookingdb.subtract_off_minutes(v_open, v_off);
                v_problems := v_problems || v_found;
            end if;
            v_seen := v_seen || v_weekday;
        end loop;
    end if;

    -- A schedule is adopted as a whole or not at all.
    if v_problems <> '{}' then
        return query
        select null::integer, null::time, null::time, p.text
        from unnest(v_problems) as p (text);
        return;
    end if;

    return query
    select d.weekday, w.start_time, w.end_time, null::text
    from (
        -- A stretch that begins after midnight belongs to the next day, and may meet that day's own hours there.
        select
            ((h.number - 1 + lower(r.minutes) / 1440) % 7 + 1)::integer as weekday,
            range_agg(int4range(
                lower(r.minutes) % 1440, upper(r.minutes) - lower(r.minutes) / 1440 * 1440
            )) as minutes
        from generate_series(1, 7) as h (number)
        cross join lateral unnest(v_hours[h.number]) as r (minutes)
        group by 1
    ) as d
    cross join lateral bookingdb.minute_windows(d.minutes) as w
    order by 1, 2;
end;
$function$;

comment on function bookingdb.schedule_windows(jsonb) is
'Returns the weekly windows of an application''s weekly_availability: generalHours and available slots of each enabled day, less times off. A problem comes back alone, without windows.';
