-- Keeps which of the sessions stored as if they were UTC the owner's condition chose, before anything of them changes.
create temporary table bookingdb_chosen on commit drop as
select r.id
from (:readings) as r
where r.is_as_utc and r.is_chosen
