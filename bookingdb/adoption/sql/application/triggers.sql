-- Lists the triggers of the tables, with the body of each function.
select
    c.relname::text as table,
    t.tgenabled::text as enabled,
    p.oid::regprocedure::text as function,
    p.prosrc as source,
    quote_ident(t.tgname) as name,
    pg_get_triggerdef(t.oid) as definition,
    coalesce(p.proconfig, '{}') as function_settings,
    (t.tgtype & 2) <> 0 as is_before
from pg_trigger as t
inner join pg_class as c on t.tgrelid = c.oid
inner join pg_proc as p on t.tgfoid = p.oid
where not t.tgisinternal and c.relnamespace = 'public'::regnamespace and c.relname = any(:'tables')
order by c.relname, t.tgname
