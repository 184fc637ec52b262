-- Lists the roles that come through PostgREST; PUBLIC is everybody.
select 0::oid as oid, 'public' as role
union all
select r.oid, r.rolname from pg_roles as r where r.rolname in ('anon', 'authenticated')
