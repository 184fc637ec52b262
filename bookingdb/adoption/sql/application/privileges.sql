-- Lists what others than its owner may do with each relation, as a whole and by column. Part of other queries.
select
    r.oid as relation,
    null as attname,
    0 as attnum,
    e.ordinality,
    e.privilege_type,
    case when e.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(e.grantee)) end as role,
    case when e.is_grantable then ' with grant option' end as option
from pg_class as r
cross join lateral aclexplode(r.relacl) with ordinality as e
where e.grantee <> r.relowner
union all
select
    r.oid,
    t.attname,
    t.attnum,
    e.ordinality,
    e.privilege_type,
    case when e.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(e.grantee)) end as role,
    case when e.is_grantable then ' with grant option' end as option
from pg_class as r
inner join pg_attribute as t on r.oid = t.attrelid and not t.attisdropped
cross join lateral aclexplode(t.attacl) with ordinality as e
where e.grantee <> r.relowner
