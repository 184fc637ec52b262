select r.name,
    case r.relkind when 'r' then 'table' when 'f' then 'foreign table' else 'partitioned table' end as kind,
    r.relpersistence = 'u' as unlogged,
    r.relforcerowsecurity as forces_row_security
from relations as r
where r.relkind in ('r', 'p', 'f')
order by 1
