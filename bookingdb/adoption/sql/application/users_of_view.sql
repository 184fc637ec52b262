-- Lists the functions and row policies that name a view.
select distinct pg_describe_object(d.classid, d.objid, d.objsubid)
from pg_class as c
inner join pg_depend as d
    on (d.refclassid, d.refobjid) in (
        ('pg_class'::regclass, c.oid), ('pg_type'::regclass, c.reltype)
    )
where c.oid = to_regclass(:'view') and d.classid in ('pg_proc'::regclass, 'pg_policy'::regclass)
order by 1
