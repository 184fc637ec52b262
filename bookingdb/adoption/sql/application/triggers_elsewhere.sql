-- Lists the triggers of all other tables.
select
    t.tgname::text,
    t.tgrelid::regclass::text,
    p.prosrc,
    p.prosecdef
from pg_trigger as t
inner join pg_proc as p on t.tgfoid = p.oid
inner join pg_class as c on t.tgrelid = c.oid
where
    not t.tgisinternal and t.tgenabled <> 'D'
    and not (c.relnamespace = 'public'::regnamespace and c.relname = any(:'tables'))
order by 2, 1
