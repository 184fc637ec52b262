-- Columns, constraints and indexes of the tables that an application may have brought, and what takes each away.
select
    c.relname::text as table_name,
    2 as phase,
    'column ' || quote_ident(a.attname) as name,
    null as remaking,
    format('alter table public.%I drop column if exists %I', c.relname, a.attname) as removal
from pg_class as c
inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relname = any(:'public_tables') and c.relkind in ('r', 'p')
union all
select
    c.relname::text as table_name,
    3 as phase,
    'constraint ' || quote_ident(k.conname) as name,
    format('alter table public.%I add constraint %I %s', c.relname, k.conname, pg_get_constraintdef(k.oid)) as remaking,
    format('alter table public.%I drop constraint if exists %I', c.relname, k.conname) as removal
from pg_constraint as k
inner join pg_class as c on k.conrelid = c.oid
where c.relnamespace = 'public'::regnamespace and c.relname = any(:'public_tables')
    and k.contype in ('c', 'f', 'p', 'u', 'x')
union all
select
    c.relname::text as table_name,
    3 as phase,
    'index ' || quote_ident(x.relname) as name,
    pg_get_indexdef(i.indexrelid) as remaking,
    format('drop index if exists public.%I', x.relname) as removal
from pg_index as i
inner join pg_class as x on i.indexrelid = x.oid
inner join pg_class as c on i.indrelid = c.oid
where c.relnamespace = 'public'::regnamespace and c.relname = any(:'public_tables')
    and not exists (
        select from pg_constraint as k
        where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    )
