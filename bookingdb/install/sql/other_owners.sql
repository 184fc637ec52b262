-- Why a database that has bookingdb cannot be brought to this version with the owners that it has: one row, a sentence
-- or null. Replacing a function or a view leaves it to its owner, who could then change it for everybody who calls it.
select case
    when count(*) > 0 then format(
        '%s owns what bookingdb has here, but not %s: see what each does, then drop the functions and views,'
        ' and give %s the rest (alter ... owner to)',
        max(f.owner), string_agg(f.name, ', ' order by f.name collate "C"), max(f.owner)
    )
end
from (
    select
        pg_get_userbyid(o.nspowner)::text as owner,
        format('%s (of %s)', m.name, pg_get_userbyid(m.owner)) as name
    from pg_namespace as o
    inner join (
        select p.proowner as owner, 'function ' || p.oid::regprocedure as name, 'pg_proc'::regclass as class, p.oid
        from pg_proc as p
        inner join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'bookingdb' or (n.nspname = 'public' and p.proname = any(:'public_functions'))
        union all
        select c.relowner as owner, format(
            '%s %s',
            case c.relkind when 'v' then 'view' when 'c' then 'type' when 'S' then 'sequence' else 'table' end,
            c.oid::regclass
        ) as name, 'pg_class'::regclass as class, c.oid
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where (n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any(:'public_tables')))
            and c.relkind not in ('i', 'I', 't')
        union all
        -- Those of tables and arrays go with what they are of.
        select t.typowner as owner, 'type ' || t.oid::regtype as name, 'pg_type'::regclass as class, t.oid
        from pg_type as t
        inner join pg_namespace as n on n.oid = t.typnamespace
        where n.nspname = 'bookingdb' and t.typrelid = 0 and t.typelem = 0
    ) as m on m.owner <> o.nspowner
    where o.nspname = 'bookingdb'
        and not exists (
            select from pg_depend as d where d.classid = m.class and d.objid = m.oid and d.deptype = 'e'
        )
) as f
