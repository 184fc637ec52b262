select
    'revoke all on schema bookingdb from ' || string_agg(quote_ident(r.rolname), ', ' order by r.rolname) as statement
from pg_roles as r
where r.rolname = any(:'roles')
having count(*) > 0
