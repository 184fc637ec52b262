-- Tables that a migration may lock.
select format('%I.%I', n.nspname, c.relname) as name
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname in ('public', 'bookingdb')
order by 1
