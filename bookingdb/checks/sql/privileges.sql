-- Lists privileges: object, grantee, privileges. The owner is called OWNER, whoever it is. MAINTAIN exists since 17.
select o.name,
    case
        when a.grantee = 0 then 'PUBLIC'
        when a.grantee = o.owner then 'OWNER'
        else coalesce(g.rolname, a.grantee::text)
    end as grantee,
    array_agg(
        a.privilege_type || coalesce(' (' || o.column_name || ')', '')
        || case when a.is_grantable and a.grantee <> o.owner then ' with grant option' else '' end
        order by a.privilege_type, o.column_name
    ) as privileges
from (
    select 'function ' || f.name as name, null::text as column_name, f.proowner as owner,
        coalesce(f.proacl, acldefault('f', f.proowner)) as acl
    from functions as f
    union all
    select case r.relkind when 'S' then 'sequence ' else 'table ' end || r.name as name,
        null as column_name, r.relowner as owner,
        coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's' else 'r' end::"char", r.relowner)) as acl
    from relations as r
    where r.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
    union all
    select 'table ' || r.name as name, quote_ident(c.attname) as column_name, r.relowner as owner, c.attacl as acl
    from relations as r
    inner join pg_attribute as c on c.attrelid = r.oid
    where c.attacl is not null and not c.attisdropped
    union all
    select 'schema ' || n.nspname as name, null as column_name, n.nspowner as owner,
        coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl
    from pg_namespace as n
    where n.nspname = 'bookingdb'
) as o
cross join lateral aclexplode(o.acl) as a
left join pg_roles as g on g.oid = a.grantee
where not (a.grantee = o.owner and a.privilege_type = 'MAINTAIN')
group by 1, 2
order by 1, 2
