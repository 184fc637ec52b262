-- Gives the active sessions that overlap one which was made earlier, as cancelled.
with taking_place as (
    select r.*
    from (:readings) as r
    where
        r.active and r.starts < r.repaired_end
        and r.starts >= timestamptz '1900-01-01 00:00:00+00'
        and r.repaired_end < timestamptz '3000-01-01 00:00:00+00'
        and r.repaired_end <= least(r.starts, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
)

select
    l.id,
    'cancelled'::varchar as status
from taking_place as l
where exists (
    select from taking_place as e
    where
        e.id <> l.id and (e.created_at, e.id) < (l.created_at, l.id)
        and (e.therapist_id = l.therapist_id or e.user_id = l.user_id)
        and e.starts < l.repaired_end and l.starts < e.repaired_end
)
