-- Our views, and those over our tables, also by way of other views.
with recursive readers as (
    select r.oid from relations as r where r.relkind in ('r', 'p', 'v', 'm')
    union
    select w.ev_class
    from readers as r
    inner join pg_depend as d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_rewrite'::regclass
    inner join pg_rewrite as w on w.oid = d.objid and w.rulename = '_RETURN'
)

select c.relkind,
    c.oid::regclass::text as name,
    exists(
        select from pg_options_to_table(c.reloptions) as o
        where case when o.option_name = 'security_invoker' then o.option_value::boolean else false end
    ) as is_invoker,
    c.relnamespace in (select e.oid from exposed as e) as is_exposed,
    array(
        select k.role from callers as k
        where has_any_column_privilege(k.role, c.oid, 'SELECT') order by k.role
    ) as readers
from readers as r
inner join pg_class as c on c.oid = r.oid
where c.relkind in ('v', 'm')
