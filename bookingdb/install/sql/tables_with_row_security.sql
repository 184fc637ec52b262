select n.nspname || '.' || c.relname as name
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.relrowsecurity
