-- Tells whether a table's ids are those of people whom an adapter reads.
select count(*) > 0 as extends_people
from pg_constraint as k
inner join pg_attribute as a on k.conrelid = a.attrelid and a.attnum = all(k.conkey)
where
    k.conrelid = to_regclass(:'table') and k.contype = 'f' and a.attname = 'id'
    and k.confrelid::regclass::text = any(:'people')
