-- Tables that are in the database because of us.
select n.nspname, c.relname
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
    and (n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any(:'public_tables')))
order by n.nspname = 'bookingdb', c.relname
