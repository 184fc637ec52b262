select 'drop table ' || string_agg(c.oid::regclass::text, ', ' order by c.oid) as statement
from pg_class as c
where c.oid::regclass::text = any(:'machinery')
