-- All at once: they need each other.
select 'drop routine ' || string_agg(p.oid::regprocedure::text, ', ' order by p.oid) as statement
from pg_proc as p
where (
        p.pronamespace = 'bookingdb'::regnamespace
        or p.oid = any(
            :recorded
        )
    )
    and not exists (
        select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
having count(*) > 0
