-- Gives what undoes the changes of an adoption, the last change first.
select
    (a.original ->> 'phase')::integer as phase,
    a.original -> 'undo' as statements
from bookingdb.adoption as a
where a.kind = 'statement' and a.original is not null
order by a.id desc
