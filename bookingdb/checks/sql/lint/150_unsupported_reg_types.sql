-- Columns that pg_upgrade refuses
select format('%s.%I', t.name, a.attname) as object,
    'is of type ' || y.typname as problem,
    array[format('alter table %s alter column %I type text', t.name, a.attname)] as statements
from tables as t
inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
inner join pg_type as y on y.oid = a.atttypid
where y.typnamespace = 'pg_catalog'::regnamespace and y.typname in (
    'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc',
    'regprocedure'
)
