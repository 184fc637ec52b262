-- Counts the sessions in statuses that bookingdb does not know: all, and those made in the last 90 days.
select
    s.status::text as status,
    count(*) as sessions,
    count(*) filter (where :created_at > now() - make_interval(days => 90)) as recent
from public.sessions as s
where s.status::text <> all(:'statuses')
group by s.status::text
order by s.status::text
