-- Lists the hours of the application that could not be understood.
select
    u.table_name,
    u.row_key,
    u.therapist_id,
    u.override_date,
    u.problem
from bookingdb.untranslated_availability() as u
order by u.table_name, u.row_key, u.therapist_id
