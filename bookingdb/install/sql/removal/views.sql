select 'drop view ' || string_agg(c.oid::regclass::text, ', ' order by c.oid) as statement
from pg_class as c
where c.relnamespace = 'bookingdb'::regnamespace and c.relkind = 'v'
having count(*) > 0
