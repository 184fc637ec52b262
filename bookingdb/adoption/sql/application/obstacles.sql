-- Lists what keeps Postgres from changing the types of the columns.
select distinct
    case
        when g.attnum is null then pg_describe_object(d.classid, d.objid, d.objsubid)
        else format('the generated column %I', g.attname)
    end
from pg_depend as d
inner join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
left join pg_attrdef as e on d.classid = 'pg_attrdef'::regclass and d.objid = e.oid
left join pg_attribute as g on e.adrelid = g.attrelid and e.adnum = g.attnum
where
    d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(:'table')
    and a.attname = any(:'columns')
    and (
        d.classid in ('pg_proc'::regclass, 'pg_publication_rel'::regclass)
        or (g.attgenerated <> '' and g.attnum <> a.attnum)
        or (d.classid = 'pg_class'::regclass and d.objid = d.refobjid and d.objsubid <> d.refobjsubid)
    )
order by 1
