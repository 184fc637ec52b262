-- Lists the columns of the tables.
select
    c.relname::text as table,
    a.attname::text as name,
    a.attnotnull as not_null,
    y.typtype::text as category,
    format_type(a.atttypid, a.atttypmod) as type,
    pg_get_expr(d.adbin, d.adrelid) as "default",
    a.attgenerated <> '' or a.attidentity <> '' as generated
from pg_class as c
inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
inner join pg_type as y on a.atttypid = y.oid
left join pg_attrdef as d on c.oid = d.adrelid and a.attnum = d.adnum
where c.relnamespace = 'public'::regnamespace and c.relname = any(:'tables') and c.relkind <> 'i'
order by c.relname, a.attnum
