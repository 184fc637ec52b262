-- Lists the active sessions to come of an adopted database, without a zone of their own, whose scheduled date and time
-- are not their start: neither in their therapist's zone nor in the one that the adoption was answered with.
with candidates as materialized (
    select
        s.id,
        s.start_time,
        s.scheduled_date + s.scheduled_time as local_time,
        coalesce(p.time_zone, d.time_zone) as time_zone,
        a.adopted -> 'answers' ->> 'zone' as adopted_zone
    from public.sessions as s
    inner join bookingdb.adoption as a on a.kind = 'plan'
    left join bookingdb.policies as p on s.therapist_id = p.therapist_id
    left join bookingdb.policies as d on d.therapist_id is null
    where
        s.start_time > clock_timestamp()
        and s.start_time < timestamptz '3000-01-01 00:00:00+00'
        and s.scheduled_date between date '1900-01-01' and date '2999-12-31'
        and s.scheduled_time is not null
        and not exists (
            select from bookingdb.time_zones as z
            where z.name = s.time_zone
        )
        and bookingdb.occupies_time(s.status)
),

known as materialized (
    select n.name
    from (
        select c.time_zone as name from candidates as c
        union
        select c.adopted_zone from candidates as c
    ) as n
    inner join bookingdb.time_zones as z on n.name = z.name
    where bookingdb.has_current_rules(n.name)
)

select
    c.id::text as id,
    c.time_zone
from candidates as c
where
    exists (
        select from known as k
        where k.name = c.time_zone
    )
    and not exists (
        select from known as k
        where
            k.name in (c.time_zone, c.adopted_zone)
            and (
                date_trunc('minute', c.start_time at time zone k.name) = date_trunc('minute', c.local_time)
                or date_trunc('minute', c.start_time) = date_trunc('minute', c.local_time at time zone k.name)
            )
    )
    and c.id not in (select o.session_id from bookingdb.sessions_off_time() as o)
order by c.start_time, c.id
