-- A session's row of the calendar, written without any lock.
insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
values (
    :'session', 'session', :'therapist', :'client', tstzrange(:'starts', :'ends'), tstzrange(:'starts', :'ends')
)
