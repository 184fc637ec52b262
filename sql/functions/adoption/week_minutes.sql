create or replace function bookingdb.week_minutes(p_therapist_id uuid, p_date date)
returns int4multirange
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if bookingdb.is_always_open(p_therapist_id) then
        return '{[0,1440)}';
    end if;
    -- A window of another zone is moved by the difference of the two clocks; what is before midnight is cut off.
    return coalesce((
        select range_agg(int4range(greatest(0, m.starts), m.ends))
        from bookingdb.weekly_hours as w
        cross join lateral (
            select coalesce((
                extract(epoch from (
                    bookingdb.wall_clock_instant(p_date + w.start_time, w.time_zone)
                    at time zone (bookingdb.policy_of(p_therapist_id)).time_zone
                ) - (p_date + w.start_time)) / 60
            )::integer, 0) as minutes
            where w.time_zone is null or bookingdb.is_time_zone(w.time_zone)
        ) as a
        cross join lateral (
            select
                a.minutes + extract(epoch from w.start_time)::integer / 60 as starts,
                a.minutes + extract(epoch from w.end_time)::integer / 60
                + case when w.end_time <= w.start_time then 1440 else 0 end as ends
        ) as m
        where w.therapist_id = p_therapist_id
            and w.weekday = extract(isodow from p_date)
            and p_date between coalesce(w.valid_from, p_date) and coalesce(w.valid_to, p_date)
            and bookingdb.weeks_to_wait(p_date, w.valid_from, w.every_weeks) = 0
            and m.ends > 0
    ), '{}');
end;
$function$;

comment on function bookingdb.week_minutes(uuid, date) is
'Returns a therapist''s weekly hours that start on a date, in minutes from its midnight. Therapists who need no weekly hours and never had any are there all day.';
