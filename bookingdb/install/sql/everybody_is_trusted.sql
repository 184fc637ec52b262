-- Tells whether everybody may act for anyone, which nobody can mean.
select exists(
    select from pg_proc as p
    cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
    where p.oid = to_regprocedure('bookingdb.act_for_anyone()') and a.grantee = 0
)
