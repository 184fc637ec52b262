-- Lists the tables, and the GRANT statements of each and of its sequences.
select
    c.relrowsecurity as row_security,
    c.relforcerowsecurity as forces_row_security,
    c.relname::text as name,
    c.relkind::text as kind,
    quote_ident(pg_get_userbyid(c.relowner)) as owner,
    c.relpersistence = 'u' as is_unlogged,
    greatest(c.reltuples, 0)::bigint as rows,
    array(
        select g.statement from (:grants) as g
        where g.relation = c.oid
        order by (g.attnum, g.ordinality)
    ) as grants,
    array(
        select
            format(
                'grant %s on sequence %s to %s%s', a.privilege_type, q.oid::regclass,
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
        from pg_depend as d
        inner join pg_class as q on d.objid = q.oid and q.relkind = 'S'
        cross join lateral aclexplode(q.relacl) with ordinality as a
        where
            d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid = c.oid and d.deptype in ('a', 'i') and a.grantee <> q.relowner
        order by (q.relname, a.ordinality)
    ) as sequence_grants
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where n.nspname = 'public' and c.relname = any(:'tables') and c.relkind <> 'i'
order by name
