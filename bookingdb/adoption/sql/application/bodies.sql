-- Lists the functions of any schema, but for triggers and those of the server and of extensions.
select
    p.proname::text as name,
    coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as source
from pg_proc as p
inner join pg_language as l on p.prolang = l.oid and l.lanname not in ('c', 'internal')
where
    p.pronamespace <> all(array[to_regnamespace('pg_catalog'), to_regnamespace('information_schema')]::oid[])
    and p.prorettype <> 'trigger'::regtype
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
order by 1, 2
