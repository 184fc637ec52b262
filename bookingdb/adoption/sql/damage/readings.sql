-- Shows sessions as bookingdb reads them: start_time and end_time as found, starts and ends with wall clock times
-- repaired, repaired_end with every repair. Part of other queries.
select
    r.*,
    case
        when
            r.active and r.starts is not null and r.length_minutes between 1 and 1440
            and (
                (r.ends is null and :'repairs_missing_end')
                or (r.ends < r.starts and :'repairs_end_before_start')
                or (r.ends = r.starts and :'repairs_zero_duration')
            )
            then r.starts + make_interval(mins => r.length_minutes)
        else r.ends
    end as repaired_end
from (
    select
        q.*,
        case
            when q.start_time is null and q.active and q.wall_clock is not null and :'repairs_missing_start'
                then q.wall_clock at time zone :'zone'
            when q.is_as_utc and :'shifts'
                then (q.start_time at time zone 'UTC') at time zone :'zone'
            else q.start_time
        end as starts,
        case
            when q.is_as_utc and :'shifts' then (q.end_time at time zone 'UTC') at time zone :'zone'
            else q.end_time
        end as ends
    from (
        select
            p.*,
            coalesce(
                p.wall_clock = p.start_time at time zone 'UTC'
                and p.wall_clock <> p.start_time at time zone :'zone',
                false
            ) as is_as_utc
        from (
            select
                s.id,
                :client as user_id,
                :therapist as therapist_id,
                :state as status,
                :beginning as start_time,
                :ending as end_time,
                :minutes as length_minutes,
                :creation as created_at,
                :day + :clock as wall_clock,
                coalesce(:state = any(:'active_statuses'), false) as active
            from public.sessions as s
        ) as p
    ) as q
) as r
