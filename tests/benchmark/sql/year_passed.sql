-- Forty-eight weeks pass: whatever housekeeping() looks at was written so much earlier. Needs a superuser, because it is
-- written behind the triggers.
set session_replication_role = replica;

-- Its constraints would see rows that are still to be moved.
create temporary table moved as
select c.* from bookingdb.calendar as c;

delete from bookingdb.calendar;

update moved
set period = tstzrange(lower(period) - interval '8064 hours', upper(period) - interval '8064 hours'),
    blocked = tstzrange(lower(blocked) - interval '8064 hours', upper(blocked) - interval '8064 hours'),
    expires_at = expires_at - interval '8064 hours';

insert into bookingdb.calendar
select m.* from moved as m;

-- No constraint of these sees the others.
update bookingdb.absences
set period = tstzrange(lower(period) - interval '8064 hours', upper(period) - interval '8064 hours');

update public.sessions
set start_time = start_time - interval '8064 hours',
    end_time = end_time - interval '8064 hours',
    scheduled_date = scheduled_date - 336,
    free_cancellation_until = free_cancellation_until - interval '8064 hours';

-- Everything is booked two weeks ahead.
update bookingdb.holds
set start_time = start_time - interval '8064 hours',
    end_time = end_time - interval '8064 hours',
    scheduled_date = scheduled_date - 336,
    expires_at = expires_at - interval '8064 hours',
    created_at = start_time - interval '8064 hours' - interval '336 hours';

update bookingdb.idempotency_keys as k
set created_at = coalesce(
    (select s.start_time from public.sessions as s where s.id = k.result_id),
    (select h.start_time from bookingdb.holds as h where h.id = k.result_id),
    clock_timestamp() - make_interval(days => 30 * regexp_replace(k.key, '\D', '', 'g')::integer)
) - interval '336 hours';

-- The consumer of the events is quick.
update bookingdb.outbox as o
set created_at = coalesce(
    (select s.start_time from public.sessions as s where s.id = o.subject_id),
    (select h.start_time from bookingdb.holds as h where h.id = o.subject_id),
    clock_timestamp() - interval '4032 hours'
) - interval '336 hours';

update bookingdb.outbox set handled_at = created_at + interval '1 second';

reset session_replication_role;
