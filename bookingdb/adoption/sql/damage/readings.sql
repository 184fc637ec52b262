-- Shows sessions as bookingdb reads them: start_time and end_time as found, starts and ends with wall clock times
-- repaired, repaired_end with every repair. start_fault and end_fault name the class of a time that cannot be right.
-- Two times agree when their minutes do. Part of other queries.
select
    f.*,
    case
        when f.end_fault = any(:'repaired_ends') and f.length_minutes between 1 and 1440
            then f.starts + make_interval(mins => f.length_minutes)
        else f.ends
    end as repaired_end
from (
    select
        r.*,
        case
            -- Without a start that has a place in time no end is known; that is a class of its own.
            when
                r.starts is null
                or r.starts < timestamptz '1900-01-01 00:00:00+00'
                or r.starts >= timestamptz '3000-01-01 00:00:00+00'
                then null
            when r.active then
                case
                    when r.ends is null then 'rows.end_missing'
                    when r.ends >= timestamptz '3000-01-01 00:00:00+00' then 'rows.end_out_of_range'
                    when r.ends < r.starts then 'rows.end_before_start'
                    when r.ends = r.starts then 'rows.zero_duration'
                    when r.ends > r.starts + interval '10080 minutes' then 'rows.too_long'
                    -- As bookingdb.check_times() has it.
                    when
                        r.ends > now()
                        and abs(
                            extract(epoch from r.ends) - extract(epoch from r.starts) - 60.0 * r.stated_minutes
                        ) >= 60
                        then 'rows.duration_differs'
                end
            when
                r.ends < r.starts
                or r.ends >= timestamptz '3000-01-01 00:00:00+00'
                or r.ends > r.starts + interval '10080 minutes'
                then 'rows.over_with_broken_times'
        end as end_fault
    from (
        select
            q.*,
            case
                when q.start_fault = any(:'repaired_starts') and q.is_wall_clock_sound
                    then q.wall_clock at time zone :'zone'
                when q.as_utc_answer = 'shift' then q.shifted_start
                else q.start_time
            end as starts,
            case
                when
                    q.as_utc_answer = 'shift'
                    -- An end that is right already stays: its length says so, or no session ends before it starts.
                    and coalesce(
                        case
                            when isfinite(q.end_time) and q.length_minutes between 1 and 1440
                                then abs(
                                    extract(epoch from q.end_time)
                                    - extract(epoch from q.shifted_start) - 60 * q.length_minutes
                                ) >= 60
                        end,
                        q.end_time > q.start_time or q.end_time <= q.shifted_start
                    )
                    then (q.end_time at time zone 'UTC') at time zone :'zone'
                else q.end_time
            end as ends,
            case when q.as_utc_answer = 'rewrite' then q.start_time at time zone :'zone' end as rewritten_clock
        from (
            select
                o.*,
                o.is_in_utc and not o.is_in_zone as is_as_utc,
                case
                    when o.is_unscheduled then :'unscheduled'
                    when o.is_in_zone or not o.is_in_utc then 'none'
                    when o.is_chosen then :'as_utc'
                    else :'others'
                end as as_utc_answer,
                case
                    when o.is_unscheduled or (o.is_in_utc and not o.is_in_zone)
                        then (o.start_time at time zone 'UTC') at time zone :'zone'
                end as shifted_start,
                case
                    when o.active and o.start_time is null then 'rows.start_missing'
                    when
                        o.start_time < timestamptz '1900-01-01 00:00:00+00'
                        or o.start_time >= timestamptz '3000-01-01 00:00:00+00'
                        then case when o.active then 'rows.start_out_of_range' else 'rows.over_with_broken_times' end
                end as start_fault
            from (
                select
                    p.*,
                    case
                        when p.is_comparable
                            then
                                date_trunc('minute', p.wall_clock)
                                = date_trunc('minute', p.start_time at time zone 'UTC')
                        else false
                    end as is_in_utc,
                    -- A time that the clocks skip is the instant that Postgres makes of it.
                    case
                        when p.is_comparable
                            then
                                date_trunc('minute', p.wall_clock)
                                = date_trunc('minute', p.start_time at time zone :'zone')
                                or date_trunc('minute', p.wall_clock at time zone :'zone')
                                = date_trunc('minute', p.start_time)
                        else false
                    end as is_in_zone,
                    -- No scheduled time says which clock its start is of, and the zone's clock is not that of UTC.
                    case
                        when p.is_wall_clock_sound is not true and p.is_start_sound
                            then
                                p.is_start_alone
                                and p.start_time at time zone 'UTC' <> p.start_time at time zone :'zone'
                        else false
                    end as is_unscheduled
                from (
                    select
                        t.*,
                        t.wall_clock >= timestamp '1900-01-01 00:00:00'
                        and t.wall_clock < timestamp '3000-01-01 00:00:00' as is_wall_clock_sound,
                        coalesce(
                            t.wall_clock >= timestamp '1900-01-01 00:00:00'
                            and t.wall_clock < timestamp '3000-01-01 00:00:00'
                            and t.start_time >= timestamptz '1900-01-01 00:00:00+00'
                            and t.start_time < timestamptz '3000-01-01 00:00:00+00',
                            false
                        ) as is_comparable,
                        coalesce(
                            t.start_time >= timestamptz '1900-01-01 00:00:00+00'
                            and t.start_time < timestamptz '3000-01-01 00:00:00+00',
                            false
                        ) as is_start_sound
                    from (
                        select
                            s.id,
                            :client as user_id,
                            :therapist as therapist_id,
                            :state as status,
                            :beginning as start_time,
                            :ending as end_time,
                            :minutes as length_minutes,
                            :stated as stated_minutes,
                            :creation as created_at,
                            :day + :clock as wall_clock,
                            coalesce(:state = any(:'active_statuses'), false) as active,
                            :chosen as is_chosen,
                            :start_alone as is_start_alone
                        from public.sessions as s
                    ) as t
                ) as p
            ) as o
        ) as q
    ) as r
) as f
