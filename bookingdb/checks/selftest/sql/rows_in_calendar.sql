-- Counts the rows of the calendar that hold the time of a session for these two people.
select count(*)
from bookingdb.calendar as c
where c.id = :'session' and c.therapist_id = :'therapist' and c.client_id = :'client'
    and c.kind = 'session' and c.period = tstzrange(:'starts', :'ends')
