-- Lists the roles of Supabase that the server has.
select r.rolname::text
from pg_roles as r
where r.rolname in ('anon', 'authenticated', 'service_role')
order by 1
