-- Compares two ways of reading an application's weekly schedules: each therapist with times that only the first way
-- offers, some of these times, the sessions in them, and the sessions in the rest of the first way's hours.
with documents as materialized (
    select s.therapist_id, s.content -> (:'columns'::jsonb ->> 'document') as document
    from pg_temp.adopted_schedules(:'table', :'columns', null) as s
    where s.problems = '{}'
),

windows as (
    select
        d.therapist_id,
        a.is_first,
        w.problem,
        (w.weekday - 1) * 1440 + extract(epoch from w.start_time)::integer / 60 as starts,
        (w.weekday - 1) * 1440 + extract(epoch from w.end_time)::integer / 60
        + case when w.end_time <= w.start_time then 1440 else 0 end as ends
    from documents as d
    cross join (values (true, :'first'::jsonb), (false, :'second'::jsonb)) as a (is_first, answers)
    cross join lateral pg_temp.schedule_windows(pg_temp.schedule_as_obeyed(d.document, a.answers)) as w
),

-- In minutes of the week, and once more a week later: what begins on a Sunday may end on the Monday.
compared as (
    select c.therapist_id, c.opened, c.opened - c.other as difference
    from (
        select
            w.therapist_id,
            coalesce(
                range_agg(int4range(w.starts + n.shift, w.ends + n.shift)) filter (where w.is_first), '{}'
            ) as opened,
            coalesce(
                range_agg(int4range(w.starts + n.shift, w.ends + n.shift)) filter (where not w.is_first), '{}'
            ) as other
        from windows as w
        cross join (values (0), (10080)) as n (shift)
        group by w.therapist_id
        -- The plan lists elsewhere what cannot be read in one of the ways.
        having bool_and(w.problem is null)
    ) as c
    where not c.opened <@ c.other
),

sessions as (
    select
        r.therapist_id,
        int4range(m.starts, m.starts + greatest(1, least(m.minutes, 1440))) as period
    from (
        :readings
    ) as r
    cross join lateral (
        select
            (extract(isodow from l.local)::integer - 1) * 1440
            + extract(epoch from l.local::time)::integer / 60 as starts,
            least(extract(epoch from r.repaired_end - r.starts) / 60, 1440)::integer as minutes
        from (select r.starts at time zone :'zone' as local) as l
    ) as m
    where isfinite(r.starts)
        and isfinite(r.repaired_end)
        and r.repaired_end > r.starts
        and (r.active or r.status in ('completed', 'no_show'))
)

select
    c.therapist_id::text,
    (
        select string_agg(t.said, ', ' order by t.starts)
        from (
            select
                lower(u.minutes) as starts,
                (array['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'])[
                    lower(u.minutes) / 1440 + 1
                ] || to_char(make_interval(mins => lower(u.minutes) % 1440), ' HH24:MI')
                || to_char(make_interval(mins => upper(u.minutes) % 1440), '-HH24:MI') as said
            from unnest(c.difference) as u (minutes)
            where lower(u.minutes) < 10080
            order by 1
            limit 3
        ) as t
    ) as times,
    count(s.period) filter (where c.difference && s.period) as inside,
    count(s.period) filter (where c.opened && s.period and not c.difference && s.period) as beside
from compared as c
left join sessions as s on s.therapist_id = c.therapist_id
group by c.therapist_id, c.opened, c.difference
order by 3 desc, 1
