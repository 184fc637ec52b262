-- Lists those of these names that a function or operator has which is volatile.
select p.proname::text as name
from pg_catalog.pg_proc as p
where p.provolatile = 'v' and p.proname = any(:'names')
union
select o.oprname::text as name
from pg_catalog.pg_operator as o
inner join pg_catalog.pg_proc as p on o.oprcode = p.oid
where p.provolatile = 'v' and o.oprname = any(:'names')
order by name
