-- Tables, views, indexes, sequences and types of ours; those of an extension that lives in the same schema are not.
select c.oid, c.relnamespace, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
    c.relacl, c.relowner,
    format('%I.%I', n.nspname, c.relname) as name
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where (
        n.nspname = 'bookingdb'
        or (n.nspname = 'public' and c.relname = any(:'public_tables'))
        -- The sequences behind identity columns.
        or (n.nspname = 'public' and c.relkind = 'S' and exists (
            select from pg_depend as d
            inner join pg_class as t on t.oid = d.refobjid
            where d.classid = 'pg_class'::regclass
                and d.objid = c.oid
                and d.refclassid = 'pg_class'::regclass
                and d.deptype = 'i'
                and t.relnamespace = c.relnamespace
                and t.relname = any(:'public_tables')
        ))
    )
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
