-- Moves the record of the rows that were repaired ahead into the adoption's.
insert into bookingdb.adoption (kind, object, row_key, original, adopted)
select
    'row' as kind,
    r.object,
    jsonb_build_object('id', r.id) as row_key,
    r.original,
    r.adopted
from bookingdb_mending.rows as r
order by r.object, r.key, r.id
