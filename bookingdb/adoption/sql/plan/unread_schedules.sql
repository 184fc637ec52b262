-- Lists the weekly schedules that bookingdb does not understand: the row, its therapist, what is wrong.
select u.row_key::text, u.therapist_id, string_agg(u.problem, '; ' order by u.problem) as problems
from pg_temp.unread_availability('schedules', :'table', :'columns') as u
group by u.row_key, u.therapist_id
order by 2, 1
