-- Foreign keys of what stays to what goes.
select format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) as statement
from pg_constraint as c
where c.contype = 'f'
    and c.confrelid::regclass::text = any(:'machinery')
    and not c.conrelid::regclass::text = any(:'machinery')
    and c.conrelid in (select t.oid from pg_class as t where t.relnamespace = 'bookingdb'::regnamespace)
