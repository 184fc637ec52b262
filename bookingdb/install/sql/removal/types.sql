select 'drop type ' || string_agg(c.reltype::regtype::text, ', ' order by c.oid) as statement
from pg_class as c
where c.relnamespace = 'bookingdb'::regnamespace and c.relkind = 'c'
having count(*) > 0
