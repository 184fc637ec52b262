-- Lists zones of policies and of sessions to come that this server does not know, with up to three that could be meant.
with named as (
    select p.time_zone as name, 1 as policies, 0 as sessions
    from bookingdb.policies as p
    union all
    select s.time_zone as name, 0 as policies, 1 as sessions
    from public.sessions as s
    where s.start_time > clock_timestamp()
),

counted as materialized (
    select d.name, sum(d.policies) as policies, sum(d.sessions) as sessions
    from named as d
    where d.name is not null
    group by d.name
)

select c.name, c.policies, c.sessions, bookingdb.zone_aliases(c.name) as aliases
from counted as c
where not exists (select from bookingdb.time_zones as z where z.name = c.name)
    or not bookingdb.is_time_zone(c.name)
order by c.name
