-- Records the times of day of sessions that have no date.
-- noqa: disable=AL03
insert into bookingdb.adoption (kind, object, row_key, original, adopted)
select
    'row',
    'public.sessions',
    jsonb_build_object('id', s.id, 'was', 'time'),
    jsonb_build_object(:original),
    jsonb_build_object(:adopted)
from public.sessions as s
where num_nonnulls(:dates) = 0 and num_nonnulls(:times) > 0
