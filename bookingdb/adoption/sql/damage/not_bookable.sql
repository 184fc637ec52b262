-- Lists the active sessions to come with somebody who cannot be booked.
select r.id::text as id
from (:readings) as r
where
    r.active and r.therapist_id is not null and r.starts > now()
    and not exists (
        select from (:bookable) as t
        where t.id = r.therapist_id
    )
order by r.id::text
