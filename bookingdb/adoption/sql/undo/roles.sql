-- Lists those of these roles that the server has.
select quote_ident(r.rolname) as name
from pg_roles as r
where r.rolname = any(:'roles')
order by name
