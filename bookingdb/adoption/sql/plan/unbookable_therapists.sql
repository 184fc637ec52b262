-- Lists the therapists of active sessions to come whom the adapter does not let anybody book, with their sessions.
select r.therapist_id::text, count(*) as sessions
from (
    :readings
) as r
where r.active and r.starts > now() and r.therapist_id is not null
    and not exists (select from (:bookable) as b (id) where b.id = r.therapist_id)
group by r.therapist_id
order by 2 desc, 1
