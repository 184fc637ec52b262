select *
from bookingdb_ad_hoc.book_session(
    ('00000000-0000-4000-8000-' || lpad(:client, 12, '0'))::uuid,
    ('00000000-0000-4000-9000-' || lpad(:therapist, 12, '0'))::uuid,
    date '{base}' + :day::integer,
    make_time(:hour::integer, 0, 0)
)
