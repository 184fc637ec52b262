-- Weekly hours, a buffer and a notice for these therapists.
select
    public.set_weekly_hours(t.id, h.hours),
    public.set_policy('{"buffer_after_minutes": 15, "minimum_notice": "1 hour"}', t.id)
from (
    select md5('therapist ' || n.n)::uuid as id
    from generate_series({first}, {last}) as n (n)
) as t
cross join (
    select
        jsonb_agg(jsonb_build_object('weekday', d.d, 'start_time', h.start_time, 'end_time', h.end_time)) as hours
    from generate_series(1, {days}) as d (d)
    cross join (values {windows}) as h (start_time, end_time)
) as h
