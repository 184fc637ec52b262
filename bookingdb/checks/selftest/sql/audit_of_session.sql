-- A session's rows in the audit log.
select a.user_id, a.action, a.old_status, a.new_status
from public.booking_audit_log as a
where a.session_id = :'session'
