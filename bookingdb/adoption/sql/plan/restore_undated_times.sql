-- Puts the times of day back that remember_undated_times recorded.
update public.sessions as s
set (:names) = (select :originals)
from bookingdb.adoption as a
where
    a.kind = 'row' and a.object = 'public.sessions'
    and a.row_key ->> 'was' = 'time' and a.row_key ->> 'id' = s.id::text
