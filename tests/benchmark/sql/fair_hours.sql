-- What hours.sql gives the therapists of bookingdb.
insert into bookingdb_fair.working_hours (therapist_id, weekday, start_time, end_time)
select s.therapist_id, d.d, h.start_time::time, h.end_time::time
from bookingdb_fair.therapist_settings as s
cross join generate_series(1, {days}) as d (d)
cross join (values {windows}) as h (start_time, end_time);

update bookingdb_fair.therapist_settings
set has_hours = true, buffer_minutes = 15, minimum_notice = interval '1 hour';
