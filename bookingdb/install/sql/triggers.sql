-- Our triggers: table and name (quoted where they must be) and definition; one that is switched off says so.
select
    format('%I.%I', n.nspname, c.relname) as "table",
    quote_ident(t.tgname) as name,
    pg_get_triggerdef(t.oid) as definition,
    case t.tgenabled when 'O' then '' else format(' [%s]', t.tgenabled) end as remark
from pg_trigger as t
inner join pg_class as c on c.oid = t.tgrelid
inner join pg_namespace as n on n.oid = c.relnamespace
where not t.tgisinternal and starts_with(ltrim(t.tgname, 'z'), :'prefix')
