-- Makes the COMMENT statements of what an adoption may have to make again.
select
    format(
        'comment on %s %s is %L',
        case
            when o.type = 'table constraint' then 'constraint'
            when o.type like '%column' then 'column'
            else o.type
        end,
        o.identity, d.description
    )
from pg_description as d
cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) as o
where
    o.type in (
        'table constraint', 'index', 'trigger', 'policy', 'view', 'materialized view', 'view column',
        'materialized view column'
    )
    and o.identity ~ '(^| on )public\.'
order by 1
