-- table: bookingdb.weekly_hours
-- problem: has hours of therapists without a mark in bookingdb.therapists_with_hours: they count for nothing
-- remedy: Run `update bookingdb.weekly_hours set weekday = weekday`, which makes the marks
select exists(
    select from bookingdb.weekly_hours as w
    where not exists (
        select from bookingdb.therapists_with_hours as h
        where h.therapist_id = w.therapist_id
    )
) as is_wrong
