select r.name,
    case r.relkind when 'r' then 'table' when 'f' then 'foreign table' else 'partitioned table' end as kind,
    r.relpersistence = 'u' as unlogged,
    r.relforcerowsecurity as forces_row_security,
    -- Superusers can make Postgres forget that there are any.
    array_remove(array[
        case when not c.relhastriggers and exists (
            select from pg_trigger as t where t.tgrelid = r.oid
        ) then 'triggers' end,
        case when not c.relhasindex and exists (select from pg_index as i where i.indrelid = r.oid) then 'indexes' end,
        case when not c.relhasrules and exists (select from pg_rewrite as w where w.ev_class = r.oid) then 'rules' end
    ], null) as ignores
from relations as r
inner join pg_class as c on c.oid = r.oid
where r.relkind in ('r', 'p', 'f')
order by 1
