-- Shows sessions as bookingdb reads them: start_time and end_time as found, starts and ends with wall clock times
-- repaired, repaired_end with every repair. start_fault and end_fault name the class of a time that cannot be right.
-- Part of other queries.
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
                ) as is_as_utc,
                p.wall_clock >= timestamp '1900-01-01 00:00:00'
                and p.wall_clock < timestamp '3000-01-01 00:00:00' as is_wall_clock_sound,
                case
                    when p.active and p.start_time is null then 'rows.start_missing'
                    when
                        p.start_time < timestamptz '1900-01-01 00:00:00+00'
                        or p.start_time >= timestamptz '3000-01-01 00:00:00+00'
                        then case when p.active then 'rows.start_out_of_range' else 'rows.over_with_broken_times' end
                end as start_fault
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
                    coalesce(:state = any(:'active_statuses'), false) as active
                from public.sessions as s
            ) as p
        ) as q
    ) as r
) as f
