-- Lists the functions of public, but for aggregates and those that an extension brought.
select
    p.prosecdef as is_definer,
    p.provolatile = 'v' as is_volatile,
    p.oid::regprocedure::text as signature,
    p.proname::text as name,
    l.lanname::text as language,
    case p.prokind when 'p' then 'procedure' else 'function' end as kind,
    coalesce(p.proargnames[1:p.pronargs], array[]::text[]) as argument_names,
    array(
        select format_type(a.type, null) from unnest(p.proargtypes::oid[]) with ordinality as a (type, place)
        order by a.place
    ) as argument_types,
    coalesce(pg_get_function_result(p.oid), '') as result,
    coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as source,
    pg_get_functiondef(p.oid) as definition,
    quote_ident(pg_get_userbyid(p.proowner)) as owner,
    obj_description(p.oid, 'pg_proc') as comment,
    array(
        select
            format(
                'grant execute on %s %s to %s%s',
                case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure,
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) with ordinality as a
        where a.grantee <> p.proowner
        order by a.ordinality
    ) as grants,
    array(
        select k.role from unnest(:'callers'::text[]) as k (role)
        where case
            when k.role = 'public'
                then
                    exists (
                        select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                        where a.grantee = 0
                    )
            else exists (
                select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                where a.grantee = to_regrole(k.role)
            )
        end
    ) as callers,
    array(
        select distinct pg_describe_object(d.classid, d.objid, d.objsubid) as described
        from pg_depend as d
        where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and d.deptype = 'n'
        order by described
    ) as dependents
from pg_proc as p
inner join pg_language as l on p.prolang = l.oid
where
    p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p')
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
order by signature
