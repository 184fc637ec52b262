select 'drop table ' || string_agg(c.oid::regclass::text, ', ' order by c.oid) as statement
from pg_class as c
where c.relkind in ('r', 'p')
    and (
        c.relnamespace = 'bookingdb'::regnamespace
        or (c.relnamespace = 'public'::regnamespace and c.relname = any(:'tables'))
    )
