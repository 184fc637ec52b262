-- Lists the roles to which the right to act for anyone was granted. The owner and superusers need no grant.
select r.rolname::text as name
from pg_proc as p
cross join aclexplode(p.proacl) as a
inner join pg_roles as r on r.oid = a.grantee
where p.oid = to_regprocedure('bookingdb.act_for_anyone()') and a.grantee <> p.proowner
