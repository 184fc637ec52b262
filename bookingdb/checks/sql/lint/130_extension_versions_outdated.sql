-- The extension, older than the server's
select e.extname::text as object,
    format('is version %s, not %s', e.extversion, a.default_version) as problem,
    array['alter extension btree_gist update'] as statements
from pg_extension as e
inner join pg_available_extensions as a on a.name = e.extname
where e.extname = 'btree_gist' and e.extversion <> a.default_version
