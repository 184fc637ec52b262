-- table: public.sessions
-- problem: has sessions of over a week, or beyond the years 1900 to 2999, which take no time in the calendar
-- remedy: Give those of `select * from bookingdb.unplaced_sessions()` a start and an end, or cancel them
select exists(
    select from bookingdb.unplaced_sessions() as s
    where s.start_time < s.end_time
        and (s.user_id is not null or s.therapist_id is not null)
        and not bookingdb.has_place_in_time(s)
        -- `bookingdb adopt --report` lists those that came with an application.
        and not exists (
            select from public.booking_audit_log as a
            where a.session_id = s.id and a.action = 'adopted'
        )
) as is_wrong
