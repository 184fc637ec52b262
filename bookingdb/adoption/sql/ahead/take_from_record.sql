-- Takes the next rows of a repair out of the record.
with taken as (
    select r.id
    from bookingdb_mending.rows as r
    where r.object = :'object' and r.key = :'key'
    order by r.id
    limit :'batch'
)

delete from bookingdb_mending.rows as r
using taken as n
where r.object = :'object' and r.key = :'key' and r.id = n.id
returning r.id, r.original, r.adopted
