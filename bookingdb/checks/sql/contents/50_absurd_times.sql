-- table: public.sessions
-- problem: has sessions without a usable time, of over a week, or beyond the years 1900 to 2999: others can book theirs
-- remedy: Give those of `select * from bookingdb.unplaced_sessions()` a start and an end, or cancel them
select exists(
    select from bookingdb.unplaced_sessions() as s
    where (s.user_id is not null or s.therapist_id is not null)
        and bookingdb.has_place_in_time(s) is not true
        -- One that says no day never had a time to lose, and nobody can take the time of one that is over.
        and (
            s.start_time < s.end_time
            or coalesce(
                greatest(s.start_time, s.end_time) > clock_timestamp(), s.scheduled_date >= current_date - 1, false
            )
        )
        -- `bookingdb adopt --report` lists those that came with an application.
        and not exists (
            select from public.booking_audit_log as a
            where a.session_id = s.id and a.action = 'adopted'
        )
) as is_wrong
