-- Tables without primary key
select t.name, 'has no primary key' as problem, array[coalesce(
    :'primary_keys' ->> t.name,
    format(
        'alter table %s add column primary_key bigint generated always as identity primary key', t.name
    )
)] as statements
from tables as t
where not exists (select from pg_index as i where i.indrelid = t.oid and i.indisprimary)
