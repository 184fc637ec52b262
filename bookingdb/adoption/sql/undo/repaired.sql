-- Lists the tables of which rows were repaired, and which columns were repaired together.
select distinct
    a.object,
    array(
        select jsonb_object_keys(a.original) as name
        order by name
    ) as columns
from bookingdb.adoption as a
where a.kind = 'row' and not a.row_key ? 'was'
