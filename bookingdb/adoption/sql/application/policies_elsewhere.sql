-- Lists the row policies of other tables that name the columns.
select
    format('drop policy %I on %s', q.polname, q.polrelid::regclass) as removal,
    array[
        format(
            'create policy %I on %s%s for %s to %s', q.polname, q.polrelid::regclass,
            case when not q.polpermissive then ' as restrictive' end,
            case q.polcmd
                when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                else 'all'
            end,
            (
                select
                    string_agg(
                        case when r.oid = 0 then 'public' else quote_ident(pg_get_userbyid(r.oid)) end, ', '
                    )
                from unnest(q.polroles) as r (oid)
            )
        )
        || coalesce(' using (' || pg_get_expr(q.polqual, q.polrelid) || ')', '')
        || coalesce(' with check (' || pg_get_expr(q.polwithcheck, q.polrelid) || ')', '')
    ] as making
from pg_policy as q
where
    q.polrelid <> to_regclass(:'table') and exists (
        select
        from pg_depend as d
        inner join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
        where
            d.classid = 'pg_policy'::regclass and d.objid = q.oid and d.refclassid = 'pg_class'::regclass
            and d.refobjid = to_regclass(:'table') and a.attname = any(:'columns')
    )
order by 1
