select r.name, array(
    select quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
    from pg_attribute as a
    where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    order by a.attnum
) as attributes
from relations as r
where r.relkind = 'c'
order by 1
