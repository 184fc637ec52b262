-- Gives the schema of the extension btree_gist.
select n.nspname::text
from pg_extension as e
inner join pg_namespace as n on e.extnamespace = n.oid
where e.extname = 'btree_gist'
