-- Counts the therapists who can be booked at any time: nothing is known of weekly hours, and they need none.
select count(*)
from bookingdb.therapists as t
cross join bookingdb.policies as d
left join bookingdb.policies as o on o.therapist_id = t.id
where d.therapist_id is null
    and not coalesce(o.require_hours, d.require_hours)
    and not exists (select from bookingdb.therapists_with_hours as h where h.therapist_id = t.id)
