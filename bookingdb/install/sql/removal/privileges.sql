select 'revoke all on schema bookingdb from ' || string_agg(
    case when a.grantee = 0 then 'public' else a.grantee::regrole::text end, ', ' order by a.grantee
) as statement
from pg_namespace as n
cross join aclexplode(n.nspacl) as a
where n.nspname = 'bookingdb' and a.grantee <> n.nspowner
having count(*) > 0
