-- Lists the row policies of the tables, with the statement that makes each.
select
    p.qual as "using",
    p.with_check as "check",
    p.tablename::text as table,
    quote_ident(p.policyname) as name,
    lower(p.cmd) as command,
    p.permissive = 'PERMISSIVE' as is_permissive,
    array(
        select k.role from unnest(:'callers'::text[]) as k (role)
        where k.role = any(p.roles::text[])
    ) as callers,
    format(
        'create policy %I on %I.%I%s for %s to %s%s%s',
        p.policyname, p.schemaname, p.tablename,
        case when p.permissive = 'RESTRICTIVE' then ' as restrictive' end,
        lower(p.cmd),
        (
            select string_agg(case when r.name = 'public' then 'public' else quote_ident(r.name) end, ', ')
            from unnest(p.roles::text[]) as r (name)
        ),
        ' using (' || p.qual || ')',
        ' with check (' || p.with_check || ')'
    ) as definition
from pg_policies as p
where p.schemaname = 'public' and p.tablename = any(:'tables')
order by (p.tablename::text, quote_ident(p.policyname))
