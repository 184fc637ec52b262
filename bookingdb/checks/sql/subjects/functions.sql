-- Functions of ours; those of an extension that lives in the same schema are not.
select p.*, p.oid::regprocedure::text as name
from pg_proc as p
inner join pg_namespace as n on n.oid = p.pronamespace
where (n.nspname = 'bookingdb' or (n.nspname = 'public' and p.proname = any(:'public_functions')))
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
