-- Begins the audit log of every session with its adoption.
insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)
select
    s.id as session_id,
    s.user_id,
    'adopted' as action,
    null as old_status,
    s.status as new_status,
    '{}' as changes,
    'adoption' as actor
from public.sessions as s
order by s.created_at, s.id
