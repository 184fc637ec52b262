select p.oid, p.polcmd, p.polpermissive, p.polroles, p.polqual, p.polwithcheck, e.qual, e.with_check,
    t.oid as table_oid,
    t.name as table_name,
    t.relrowsecurity,
    quote_ident(p.polname) as bare_name,
    format('%I on %s', p.polname, t.name) as name,
    m.is_managed,
    case when m.is_managed then :'reapply' else format('drop policy %I on %s', p.polname, t.name) end as removal,
    -- A condition that is left out holds for every row.
    p.polcmd <> 'a' and coalesce(e.bare_qual, 'true') ~ '^(select)?(true|1=1)(as.*)?$' as reaches_all_rows,
    p.polcmd in ('a', 'w', '*')
    and coalesce(e.bare_with_check, e.bare_qual, 'true') ~ '^(select)?(true|1=1)(as.*)?$' as accepts_all_rows
from tables as t
inner join pg_policy as p on p.polrelid = t.oid
cross join lateral (
    -- These the installer restores or removes; all others are the application's own.
    select starts_with(p.polname, :'prefix') or t.relnamespace = 'bookingdb'::regnamespace as is_managed
) as m
cross join lateral (
    select
        pg_get_expr(p.polqual, p.polrelid) as qual,
        pg_get_expr(p.polwithcheck, p.polrelid) as with_check,
        regexp_replace(lower(pg_get_expr(p.polqual, p.polrelid)), '[\s()"]', '', 'g') as bare_qual,
        regexp_replace(lower(pg_get_expr(p.polwithcheck, p.polrelid)), '[\s()"]', '', 'g') as bare_with_check
) as e
