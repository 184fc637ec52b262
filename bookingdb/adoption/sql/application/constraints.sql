-- Lists the constraints of the tables.
select
    c.relname::text as table,
    k.contype::text as kind,
    quote_ident(k.conname) as name,
    array(
        select a.attname::text from unnest(k.conkey) with ordinality as n (attnum, place)
        inner join pg_attribute as a on a.attrelid = k.conrelid and n.attnum = a.attnum
        order by n.place
    ) as columns,
    pg_get_constraintdef(k.oid) as definition,
    case when k.confrelid <> 0 then k.confrelid::regclass::text end as target
from pg_constraint as k
inner join pg_class as c on k.conrelid = c.oid
where
    c.relnamespace = 'public'::regnamespace and c.relname = any(:'tables')
    and k.contype in ('c', 'f', 'p', 'u', 'x')
order by c.relname, k.conname
