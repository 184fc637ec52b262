-- Lists the views through which callers may write a table as the view's owner.
with recursive found (oid, source) as (
    select distinct
        r.ev_class,
        d.refobjid
    from pg_depend as d
    inner join pg_rewrite as r on d.objid = r.oid
    where
        d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
        and d.refobjid = any(array(select to_regclass('public.' || t) from unnest(:'tables'::text[]) as t))
        and d.refobjid <> r.ev_class
    union
    select
        r.ev_class,
        f.source
    from found as f
    inner join pg_depend as d
        on
            d.refclassid = 'pg_class'::regclass and f.oid = d.refobjid
            and d.classid = 'pg_rewrite'::regclass
    inner join pg_rewrite as r on d.objid = r.oid
    where r.ev_class <> f.oid
),

granted as (
    select
        f.oid,
        f.source,
        a.role,
        a.privilege_type,
        a.option,
        a.attname,
        a.attnum,
        a.ordinality
    from found as f
    inner join pg_class as c on f.oid = c.oid and c.relkind = 'v'
    inner join (:privileges) as a on c.oid = a.relation
    where
        pg_relation_is_updatable(c.oid, true) & 28 <> 0
        and not coalesce('security_invoker=true' = any(c.reloptions), false)
        and not coalesce('security_invoker=on' = any(c.reloptions), false)
)

select
    n.oid::regclass::text as view,
    n.source::regclass::text as table,
    array_agg(distinct n.role) filter (
        where n.role = any(:'callers') and n.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
    ) as roles,
    array_agg(
        format(
            'grant %s%s on %s to %s%s', n.privilege_type, ' (' || quote_ident(n.attname) || ')',
            n.oid::regclass, n.role, n.option
        )
        order by n.attnum, n.ordinality
    ) as grants
from granted as n
group by n.oid, n.source
having bool_or(n.role = any(:'callers') and n.privilege_type in ('INSERT', 'UPDATE', 'DELETE'))
order by (n.oid::regclass::text, n.source::regclass::text)
