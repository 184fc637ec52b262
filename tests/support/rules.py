"""What bookingdb.rules has, and what it must have."""

from __future__ import annotations

from uuid import UUID

from tests.support import World

DEFAULT = UUID(int=0)


def rules_of(world: World) -> set[str]:
    return {text for (text,) in world.run("select r::text from bookingdb.rules as r")}


def rules_computed(world: World) -> set[str]:
    """What the rows must be, spelled out once more and in another way."""
    rows = world.run(
        """
        select r::text
        from (
            select therapist_id from bookingdb.policies
            union select therapist_id from bookingdb.therapists_with_hours
            union select therapist_id from bookingdb.date_overrides
            union select null
        ) as i
        cross join bookingdb.policies as d
        left join bookingdb.policies as o on o.therapist_id = i.therapist_id
        cross join lateral jsonb_populate_record(
            null::bookingdb.rules,
            to_jsonb(d) || coalesce(jsonb_strip_nulls(to_jsonb(o)), '{}')
            || jsonb_build_object(
                'therapist_id', coalesce(i.therapist_id, %s),
                'has_hours', exists (
                    select from bookingdb.therapists_with_hours as h where h.therapist_id = i.therapist_id
                    union all
                    select from bookingdb.date_overrides as v where v.therapist_id = i.therapist_id
                )
            )
        ) as s
        cross join lateral jsonb_populate_record(
            s,
            jsonb_build_object(
                'buffer_before', s.buffer_before_minutes * interval '1 minute',
                'buffer_after', s.buffer_after_minutes * interval '1 minute',
                'is_plain', s.credits_valid_on = 'booking' and 1000 = all (array[
                    s.maximum_sessions_per_day, s.maximum_sessions_per_week, s.maximum_open_sessions,
                    s.maximum_client_sessions_per_week
                ]),
                'override_dates', array(
                    select distinct v.override_date
                    from bookingdb.date_overrides as v
                    where v.therapist_id = s.therapist_id
                    order by 1
                ),
                'has_dated_hours', exists (
                    select from bookingdb.weekly_hours as w
                    where w.therapist_id = s.therapist_id
                        and (w.every_weeks, w.valid_from, w.valid_to, w.time_zone)
                        is distinct from (1, null::date, null::date, null::text)
                ),
                'open_week', case
                    when s.require_hours or exists (
                        select from bookingdb.therapists_with_hours as h where h.therapist_id = s.therapist_id
                    ) then (
                        -- Day by day, over a month.
                        select coalesce(range_agg(tsrange(
                            d.day + w.start_time,
                            d.day + w.end_time
                            + case when w.end_time <= w.start_time then interval '1 day' else '0' end
                        )), '{}') * '{[1899-12-31, 1900-01-09)}'
                        from generate_series(timestamp '1899-12-17', '1900-01-17', '1 day') as d (day)
                        inner join bookingdb.weekly_hours as w on w.weekday = extract(isodow from d.day)
                        where w.therapist_id = s.therapist_id
                            and w.every_weeks = 1
                            and num_nulls(w.valid_from, w.valid_to, w.time_zone) = 3
                    )
                    else '{(,)}'
                end
            )
        ) as r
        where d.therapist_id is null
        """,
        DEFAULT,
    )
    return {text for (text,) in rows}
