-- Counts, of the first 1000 sessions that take place, those to which a CHECK would refuse a status.
select count(*) as refused
from (
    select
        :others,
        :refusable as status
    from (
        select s.*
        from public.sessions as s
        where s.status::text = any(:'active')
        order by s.id
        limit 1000
    ) as t
) as t
where not :condition
