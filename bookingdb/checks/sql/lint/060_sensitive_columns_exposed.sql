-- Columns that callers can read in rows of others
-- Row level security protects them, unless a policy shows every row.
select format('%s.%I', t.name, a.attname) as object,
    'can be read by ' || string_agg(k.role, ' and ' order by k.role) as problem,
    case when t.relrowsecurity then array(
        select p.removal from row_policies as p where p.oid = any(array_agg(w.oid)) order by p.name
    )
    else array[format('alter table %s enable row level security', t.name)] end as statements
from tables as t
inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
inner join callers as k on has_column_privilege(k.role, t.oid, a.attnum, 'SELECT')
left join row_policies as w
    on w.table_oid = t.oid
    and w.polpermissive
    and w.reaches_all_rows
    and w.polcmd in ('r', '*')
    and w.polroles && array[k.oid, 0::oid]
where replace(lower(a.attname), '-', '_') = any(:'sensitive')
    and t.relnamespace in (select e.oid from exposed as e)
    and (not t.relrowsecurity or w.oid is not null)
group by t.name, t.relrowsecurity, a.attname
