-- Lists zones of policies, weekly hours and sessions to come that this server does not know, with up to three that
-- could be meant.
with named as (
    select p.time_zone as name, 1 as policies, 0 as sessions, 0 as windows
    from bookingdb.policies as p
    union all
    select s.time_zone as name, 0 as policies, 1 as sessions, 0 as windows
    from public.sessions as s
    where s.start_time > clock_timestamp()
    union all
    select w.time_zone as name, 0 as policies, 0 as sessions, 1 as windows
    from bookingdb.weekly_hours as w
    where w.valid_to is null or w.valid_to >= current_date - 1
),

counted as materialized (
    select d.name, sum(d.policies) as policies, sum(d.sessions) as sessions, sum(d.windows) as windows
    from named as d
    where d.name is not null
    group by d.name
)

select c.name, c.policies, c.sessions, bookingdb.zone_aliases(c.name) as aliases, c.windows
from counted as c
where not exists (select from bookingdb.time_zones as z where z.name = c.name)
    or not bookingdb.is_time_zone(c.name)
order by c.name
