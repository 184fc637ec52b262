-- Policies of which one that holds is enough, so that all are tried for each row
-- remedy: {run}, or make it restrictive, or for another role or action
-- Nobody asks them for roles that bypass them. One finding for each set of policies that come together.
select g.table_name,
    format(
        'has %s for %s (%s)', array_to_string(g.names, ' and '),
        string_agg(distinct g.action, ', ' order by g.action), string_agg(distinct g.role, ', ' order by g.role)
    ) as problem,
    g.removals as statements
from (
    select p.table_name, a.action,
        coalesce(o.rolname, 'public') as role,
        array_agg(p.bare_name order by p.bare_name) as names,
        (array_agg(p.removal order by not p.is_managed, p.bare_name))[2:] as removals
    from row_policies as p
    cross join unnest(string_to_array(case p.polcmd
        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
        else 'select,insert,update,delete'
    end, ',')) as a (action)
    cross join lateral (
        select 0::oid as oid
        union
        select role.oid
        from row_policies as other
        inner join pg_roles as role on role.oid = any(other.polroles)
        where other.table_oid = p.table_oid and not role.rolbypassrls and not role.rolsuper
    ) as w
    left join pg_roles as o on o.oid = w.oid
    where p.polpermissive and p.polroles && array[w.oid, 0::oid]
    group by 1, 2, 3
    having count(*) > 1
) as g
group by g.table_name, g.names, g.removals
