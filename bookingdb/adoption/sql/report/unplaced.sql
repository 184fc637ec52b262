-- Lists the sessions without a place of their own in the calendar, and why they have none.
-- noqa: disable=ST06
select
    s.id::text as id,
    s.user_id::text as user_id,
    s.therapist_id::text as therapist_id,
    to_json(s.start_time) #>> '{}' as start_time,
    to_json(s.end_time) #>> '{}' as end_time,
    s.status,
    case
        when o.session_id is not null then 'overlaps another session; its time is blocked all the same'
        when s.user_id is null and s.therapist_id is null then 'has neither client nor therapist'
        when s.start_time is null or s.end_time is null then 'has no start or no end'
        when s.start_time >= s.end_time then 'does not end after it starts'
        else 'is longer than a week, or beyond the years 1900 to 2999'
    end as reason
from bookingdb.unplaced_sessions() as s
left join bookingdb.overlapping_sessions as o on s.id = o.session_id
order by s.start_time, s.id
