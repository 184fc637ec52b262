-- Lists what differs from a new installation, as it was found when the database was adopted.
select a.object || ' ' || (a.original ->> 'problem') as line
from bookingdb.adoption as a
where a.kind = 'difference'
order by a.id
