-- Counts the sessions that were made or changed since the adoption.
select count(distinct l.session_id) as sessions
from public.booking_audit_log as l
inner join public.sessions as s on l.session_id = s.id
where
    l.action is distinct from 'adopted'
    and l.created_at > (
        select a.created_at from bookingdb.adoption as a
        where a.kind = 'plan'
    )
