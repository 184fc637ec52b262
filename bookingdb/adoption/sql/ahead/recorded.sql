-- Counts the rows that were repaired ahead, by table and repair, with the columns that changed.
select
    r.object,
    r.key,
    array(
        select jsonb_object_keys(min(r.original::text)::jsonb) as name
        order by name
    ) as columns,
    count(*) as repaired
from bookingdb_mending.rows as r
group by r.object, r.key
order by r.object, r.key
