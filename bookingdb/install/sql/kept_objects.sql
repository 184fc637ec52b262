-- Tables, columns, constraints, indexes and types of the schemas public and bookingdb. Columns with their type.
with relations as (
    select c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any(:'public_tables'))
)

select
    case r.relkind when 'c' then 'type ' else 'table ' end || r.name as name,
    '' as remark
from relations as r
where r.relkind in ('r', 'p', 'c')
union all
select
    format('column %s.%I', r.name, a.attname) as name,
    ' of type ' || format_type(a.atttypid, a.atttypmod) as remark
from relations as r
inner join pg_attribute as a on a.attrelid = r.oid
where r.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
union all
select format('constraint %I on %s', c.conname, r.name) as name, '' as remark
from relations as r
inner join pg_constraint as c on c.conrelid = r.oid
where r.relkind in ('r', 'p')
union all
select format('index %I.%I', n.nspname, c.relname) as name, '' as remark
from relations as r
inner join pg_index as i on i.indrelid = r.oid
inner join pg_class as c on c.oid = i.indexrelid
inner join pg_namespace as n on n.oid = c.relnamespace
