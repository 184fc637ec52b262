create or replace function bookingdb.minute_windows(p_open int4multirange)
returns table (
    start_time time,
    end_time time
)
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select
        make_time(w.starts / 60, w.starts % 60, 0),
        make_time(w.ends % 1440 / 60, w.ends % 60, 0)
    from unnest(p_open) as r (minutes)
    cross join lateral (
        select lower(r.minutes) as starts, least(upper(r.minutes), lower(r.minutes) + 1440) as ends
        union all
        -- A window lasts 24 hours at most; the next one overlaps it, and starts on the same day.
        select 1439, upper(r.minutes)
        where upper(r.minutes) > lower(r.minutes) + 1440
    ) as w
    order by 1;
end;
$function$;

comment on function bookingdb.minute_windows(int4multirange) is
'Turns minutes of a day and the next into windows that start on the day, as weekly_hours and date_overrides have them. Each stretch must begin on the day.';
