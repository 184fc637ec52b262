-- Functions of ours that no file defines: others in bookingdb, overloads, those of files that are gone. Before an
-- installation only overloads that no earlier one made: a migration may drop the others.
select p.oid::regprocedure::text as name
from pg_proc as p
inner join pg_namespace as n on n.oid = p.pronamespace
cross join lateral (
    select p.oid = any(
        :recorded
    ) as is_recorded
) as e
where case
        when n.nspname = 'public' and p.proname = any(:'public_functions') then not (:'is_before' and e.is_recorded)
        else not :'is_before' and (n.nspname = 'bookingdb' or e.is_recorded)
    end
    and not p.oid = any(
        :defined
    )
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
order by 1
