select r.name || '.' || quote_ident(a.attname) as name,
    r.name as "table",
    format_type(a.atttypid, a.atttypmod) || coalesce(' collate ' || (
        select l.oid::regcollation from pg_collation as l
        where l.oid = a.attcollation and l.oid <> y.typcollation
    ), '') as type,
    a.attnotnull as not_null,
    pg_get_expr(d.adbin, d.adrelid) as "default",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity
from relations as r
inner join pg_attribute as a on a.attrelid = r.oid
inner join pg_type as y on y.oid = a.atttypid
left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped
order by 1
