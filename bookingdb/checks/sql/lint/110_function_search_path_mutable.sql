-- Functions whose names mean what the caller's search_path says
-- remedy: {run}, with the schemas of other names written out in it
-- A trigger function of the application runs inside our functions, with the rights of their owner.
select f.oid::regprocedure::text as object,
    'has no search_path of its own' as problem,
    array[format('alter routine %s set search_path = pg_catalog, pg_temp', f.oid::regprocedure)] as statements
from pg_proc as f
inner join pg_language as l on l.oid = f.prolang
where (
        f.oid in (select o.oid from functions as o)
        or f.oid in (
            select t.tgfoid
            from pg_trigger as t
            inner join tables as r on r.oid = t.tgrelid
            where not t.tgisinternal
        )
    )
    -- Aggregates are 'internal', too.
    and l.lanname not in ('c', 'internal')
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    )
    and not exists (
        select from unnest(f.proconfig) as c (setting)
        where starts_with(c.setting, 'search_path=') and c.setting not like '%$user%'
    )
