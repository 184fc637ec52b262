select *
from public.reschedule_session(:session::uuid, date '{base}' + :day::integer, make_time(:hour::integer, 0, 0))
