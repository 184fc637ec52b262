-- Takes out of the calendar what was prepared for sessions that have changed since, or do not take place any more.
delete from bookingdb.calendar as c
where not exists (
    select from public.sessions as s
    where
        s.id = c.id
        and s.status = any(:'active_statuses')
        and s.therapist_id is not distinct from c.therapist_id
        and s.user_id is not distinct from c.client_id
        and s.start_time = lower(c.period)
        and s.end_time = upper(c.period)
)
