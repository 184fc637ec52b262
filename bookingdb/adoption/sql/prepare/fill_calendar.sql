-- Fills the calendar that is prepared with the sessions that overlap no other one of their people; the adoption decides
-- about the rest. In the order of starts, a session overlaps an earlier one if it starts before the last end so far,
-- and a later one if it ends after the next start.
insert into bookingdb_preparing.calendar (id, kind, therapist_id, client_id, period, blocked)
with taking_place as materialized (
    select
        r.id,
        r.therapist_id,
        r.user_id,
        tstzrange(r.starts, r.repaired_end) as period
    from (:readings) as r
    where
        r.active
        and (r.therapist_id is not null or r.user_id is not null)
        and r.starts < r.repaired_end
        and r.starts >= timestamptz '1900-01-01 00:00:00+00'
        and r.repaired_end < timestamptz '3000-01-01 00:00:00+00'
        and r.repaired_end <= least(r.starts, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
),

of_people as (
    select
        t.id,
        t.therapist_id as person,
        t.period
    from taking_place as t
    where t.therapist_id is not null
    union all
    select
        t.id,
        t.user_id,
        t.period
    from taking_place as t
    where t.user_id is not null and t.user_id is distinct from t.therapist_id
),

overlapping as (
    select o.id
    from (
        select
            p.id,
            lower(p.period) < max(upper(p.period)) over (
                w rows between unbounded preceding and 1 preceding
            )
            or upper(p.period) > lead(lower(p.period)) over w as is_overlapping
        from of_people as p
        window w as (partition by p.person order by lower(p.period), p.id)
    ) as o
    where o.is_overlapping
)

select
    t.id,
    'session' as kind,
    t.therapist_id,
    t.user_id as client_id,
    t.period,
    t.period as blocked
from taking_place as t
where not exists (
    select from overlapping as o
    where o.id = t.id
)
order by t.therapist_id, lower(t.period)
