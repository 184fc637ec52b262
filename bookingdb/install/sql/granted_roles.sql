-- Lists the roles that our grants name: those of the host that the server has, and those that are trusted.
select r.rolname::text as name
from pg_roles as r
where r.rolname = any(:'hosts')
union
select t.name from (:trusted) as t
order by name
