select *
from public.hold_slot(
    md5('client ' || :client)::uuid,
    md5('therapist ' || :therapist)::uuid,
    date '{base}' + :day::integer,
    make_time(:hour::integer, 0, 0),
    45
)
