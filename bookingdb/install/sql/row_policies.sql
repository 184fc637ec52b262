-- The row policies on our tables: table and name (quoted where needed) and definition, as in row_security.sql.
select
    format('%I.%I', p.schemaname, p.tablename) as "table",
    quote_ident(p.policyname) as name,
    format(
        'create policy %I on %I.%I%s for %s to %s',
        p.policyname, p.schemaname, p.tablename,
        case when p.permissive = 'RESTRICTIVE' then ' as restrictive' end,
        p.cmd, array_to_string(p.roles, ', ')
    )
    || coalesce(' using (' || p.qual || ')', '')
    || coalesce(' with check (' || p.with_check || ')', '') as definition,
    '' as remark
from pg_policies as p
where p.schemaname = 'bookingdb'
    or (
        p.schemaname = 'public'
        and p.tablename = any(:'public_tables')
        and starts_with(p.policyname, :'prefix')
    )
