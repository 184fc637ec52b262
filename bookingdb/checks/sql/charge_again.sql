-- A session that takes place, whose credits came back, is charged anew.
select bookingdb.lock_people(array[s.user_id]) as locked, bookingdb.take_credit(s.user_id, s.id, part, false) as taken
from public.sessions as s, generate_series(1, s.credits_charged) as part
where s.id = :'subject'
