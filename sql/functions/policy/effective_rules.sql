create or replace function bookingdb.effective_rules(p_people uuid[], p_with_hours uuid[])
returns setof bookingdb.rules
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    d bookingdb.policies;
begin
    select p.*
    into d
    from bookingdb.policies as p
    where p.therapist_id is null;
    if not found then
        return;
    end if;
    return query
    select
        e.therapist_id,
        e.has_hours,
        -- 1000 means no limit.
        least(
            e.maximum_sessions_per_day, e.maximum_sessions_per_week,
            e.maximum_open_sessions, e.maximum_client_sessions_per_week
        ) >= 1000 and e.credits_valid_on = 'booking',
        make_interval(mins => e.buffer_before_minutes),
        make_interval(mins => e.buffer_after_minutes),
        case
            when w.therapist_id is not null or x.therapist_id is not null or e.require_hours
                then coalesce(w.open_week, '{}')
            else tsmultirange '{(,)}'
        end,
        coalesce(w.has_dated_hours, false),
        coalesce(y.dates, '{}'),
        e.:name -- for each setting
    from (
        select
            i.id as therapist_id,
            h.id is not null as has_hours,
            coalesce(o.:name, d.:name) as :name -- for each setting
        from (select distinct p.id from unnest(p_people) as p (id)) as i
        -- The second condition keeps this from reading every policy.
        left join bookingdb.policies as o on o.therapist_id = i.id and o.therapist_id = any (p_people)
        left join unnest(p_with_hours) as h (id) on h.id = i.id
        where o.id is not null or h.id is not null or i.id = '00000000-0000-0000-0000-000000000000'
    ) as e
    left join bookingdb.therapists_with_hours as x
        on x.therapist_id = e.therapist_id and x.therapist_id = any (p_people)
    left join (
        select
            p.therapist_id,
            bool_or(not p.is_weekly) as has_dated_hours,
            -- The week's last windows are those before it, too, and its first ones those after it.
            (
                range_agg(tsrange(p.starts_at - interval '7 days', p.ends_at - interval '7 days'))
                filter (where p.is_weekly)
                + range_agg(tsrange(p.starts_at, p.ends_at)) filter (where p.is_weekly)
                + range_agg(tsrange(p.starts_at + interval '7 days', p.ends_at + interval '7 days'))
                filter (where p.is_weekly)
            ) * tsmultirange '{[1899-12-31, 1900-01-09)}' as open_week
        from (
            select
                o.therapist_id,
                o.valid_from is null and o.valid_to is null and o.every_weeks = 1 and o.time_zone is null as is_weekly,
                date '1899-12-31' + o.weekday + o.start_time as starts_at,
                date '1899-12-31' + o.weekday + o.end_time
                + case when o.end_time <= o.start_time then interval '24 hours' else interval '0' end as ends_at
            from bookingdb.weekly_hours as o
            where o.therapist_id = any (p_people)
        ) as p
        group by p.therapist_id
    ) as w on w.therapist_id = e.therapist_id
    left join (
        select
            v.therapist_id,
            array_agg(distinct v.override_date order by v.override_date) as dates
        from bookingdb.date_overrides as v
        where v.therapist_id = any (p_people)
        group by v.therapist_id
    ) as y on y.therapist_id = e.therapist_id;
end;
$function$;

comment on function bookingdb.effective_rules(uuid[], uuid[]) is
'Computes the rows that bookingdb.rules must have for these people, from policies and from who of them has hours (people_with_hours).';
