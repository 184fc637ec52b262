-- Three clients at most, none of whom is a therapist, too.
select c.id
from bookingdb.clients as c
where not exists (select from bookingdb.therapists as t where t.id = c.id)
order by c.id
limit 3
