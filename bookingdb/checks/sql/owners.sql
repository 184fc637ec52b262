-- Lists our objects as ALTER wants them named (table public.users), each with its owner, quoted where needed.
select 'function ' || f.name as name, quote_ident(pg_get_userbyid(f.proowner)) as owner from functions as f
union all
select
    case r.relkind when 'c' then 'type ' when 'v' then 'view ' else 'table ' end || r.name as name,
    quote_ident(pg_get_userbyid(r.relowner)) as owner
from relations as r
where r.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
union all
select 'schema ' || n.nspname as name, quote_ident(pg_get_userbyid(n.nspowner)) as owner from pg_namespace as n
where n.nspname = 'bookingdb'
order by 1
