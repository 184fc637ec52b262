-- Lists the indexes of the tables that belong to no constraint.
select
    c.relname::text as table,
    i.indisunique as is_unique,
    quote_ident(x.relname) as name,
    array(
        select coalesce(a.attname::text, '')
        from unnest(i.indkey::smallint[]) with ordinality as n (attnum, place)
        left join pg_attribute as a on a.attrelid = i.indrelid and n.attnum = a.attnum
        where n.place <= i.indnkeyatts
        order by n.place
    ) as columns,
    pg_get_indexdef(i.indexrelid) as definition,
    replace(pg_get_indexdef(i.indexrelid), ' INDEX ' || quote_ident(x.relname) || ' ON ', ' INDEX ON ')
        as bare_definition
from pg_index as i
inner join pg_class as x on i.indexrelid = x.oid
inner join pg_class as c on i.indrelid = c.oid
where
    c.relnamespace = 'public'::regnamespace and c.relname = any(:'tables')
    and not exists (
        select from pg_constraint as k
        where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    )
order by c.relname, x.relname
