-- Lists the views that name the columns, the outermost first: how each is dropped and made again.
with recursive found (oid, depth) as (
    select distinct
        r.ev_class,
        1
    from pg_depend as d
    inner join pg_rewrite as r on d.objid = r.oid
    inner join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
    inner join pg_class as v on r.ev_class = v.oid and v.relkind in ('v', 'm')
    where
        d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
        and d.refobjid = to_regclass(:'table') and a.attname = any(:'columns')
    union
    select
        r.ev_class,
        f.depth + 1
    from found as f
    inner join pg_depend as d
        on
            d.refclassid = 'pg_class'::regclass and f.oid = d.refobjid
            and d.classid = 'pg_rewrite'::regclass
    inner join pg_rewrite as r on d.objid = r.oid
    where r.ev_class <> f.oid
),

views as (
    select
        f.oid,
        max(f.depth) as depth
    from found as f
    group by f.oid
)

select
    format('drop %sview %s', m.kind, v.oid::regclass) as removal,
    array[
        format(
            'create %sview %s%s as %s%s', m.kind, v.oid::regclass,
            ' with (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(v.oid), ';'),
            case when not c.relispopulated then ' with no data' end
        ),
        format('alter %sview %s owner to %I', m.kind, v.oid::regclass, pg_get_userbyid(c.relowner)),
        format('revoke all on %s from public', v.oid::regclass)
    ]
    -- Default privileges may just have given something to others than those who had it.
    || array(
        select distinct format('revoke all on %s from %I', v.oid::regclass, pg_get_userbyid(a.grantee)) as revocation
        from pg_default_acl as f
        cross join lateral aclexplode(f.defaclacl) as a
        where f.defaclobjtype = 'r' and a.grantee not in (0, c.relowner)
        order by revocation
    )
    || array(
        select g.statement from (:grants) as g
        where g.relation = c.oid
        order by (g.attnum, g.ordinality)
    )
    || array(
        select
            format(
                'alter view %s alter column %I set default %s', v.oid::regclass, t.attname,
                pg_get_expr(e.adbin, e.adrelid)
            )
        from pg_attrdef as e
        inner join pg_attribute as t on e.adrelid = t.attrelid and e.adnum = t.attnum
        where e.adrelid = c.oid
        order by t.attnum
    )
    || array(
        select pg_get_indexdef(i.indexrelid) from pg_index as i
        where i.indrelid = c.oid
        order by i.indexrelid
    )
    || array(
        select s.statement
        from pg_trigger as t
        cross join
            lateral unnest(array[
                pg_get_triggerdef(t.oid),
                case
                    when t.tgenabled = 'D' then format('alter table %s disable trigger %I', v.oid::regclass, t.tgname)
                end
            ]) with ordinality as s (statement, place)
        where t.tgrelid = c.oid and not t.tgisinternal and s.statement is not null
        order by (t.tgname, s.place)
    ) as making
from views as v
inner join pg_class as c on v.oid = c.oid
cross join lateral concat(case c.relkind when 'm' then 'materialized ' end) as m (kind)
order by v.depth desc, removal asc
