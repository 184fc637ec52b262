-- The owner of what is installed, whether the caller has their rights, and the caller.
-- It is asked of the catalogue: looking into the schema itself may be refused.
select pg_get_userbyid(c.relowner) as owner, pg_has_role(c.relowner, 'usage') as is_owner, current_user as caller
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'bookingdb' and c.relname = 'calendar'
