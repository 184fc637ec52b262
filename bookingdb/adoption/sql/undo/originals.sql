-- Keeps the originals of the rows of a table of which these columns were repaired together.
create temporary table bookingdb_originals on commit drop as
select
    (a.row_key ->> 'id')::uuid as id,
    a.original,
    a.adopted
from bookingdb.adoption as a
where
    a.kind = 'row' and a.object = :'table' and not a.row_key ? 'was'
    and :'columns' = array(
        select jsonb_object_keys(a.original) as name
        order by name
    )
