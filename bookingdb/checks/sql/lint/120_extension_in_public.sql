-- The extension, where the application's names are
-- remedy: {run}, as a superuser where the owner may not
select e.extname::text as object,
    'is in the schema public' as problem,
    array['alter extension btree_gist set schema extensions'] as statements
from pg_extension as e
where e.extname = 'btree_gist' and e.extnamespace = 'public'::regnamespace
