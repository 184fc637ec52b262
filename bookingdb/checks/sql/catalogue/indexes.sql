select x.name,
    r.name as "table",
    pg_get_indexdef(i.indexrelid) as definition,
    i.indisvalid and i.indisready and i.indislive as valid
from relations as r
inner join pg_index as i on i.indrelid = r.oid
inner join lateral (
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = i.indexrelid
) as x on true
where not exists (
    select from pg_constraint as c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
)
order by 1
