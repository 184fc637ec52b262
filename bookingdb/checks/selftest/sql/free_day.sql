-- The first day, from a week to a year from now, around which none of these people has anything.
select min(d.day::date) as day
from generate_series((now() at time zone 'UTC')::date + 7, (now() at time zone 'UTC')::date + 364, '1 day') as d (day)
where not exists (
    select from bookingdb.calendar as c
    where (c.therapist_id = any(:'people') or c.client_id = any(:'people'))
        and c.blocked && tstzrange(d.day at time zone 'UTC', (d.day + interval '1 day') at time zone 'UTC')
)
and not exists (
    select from bookingdb.absences as a
    where (a.therapist_id = any(:'people') or a.client_id = any(:'people'))
        and a.period && tstzrange(d.day at time zone 'UTC', (d.day + interval '1 day') at time zone 'UTC')
)
