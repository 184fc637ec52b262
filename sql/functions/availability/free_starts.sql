create or replace function bookingdb.free_starts(
    p_policy bookingdb.effective_policy,
    p_span tstzrange,
    p_length interval,
    p_step_minutes integer,
    p_except_id uuid,
    p_with_hours boolean
)
returns bookingdb.free_starts
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_from constant timestamptz := lower(p_span);
    v_to constant timestamptz := upper(p_span) + p_length;
    v_period constant tstzrange := tstzrange(v_from, v_from + p_length);
    v_step constant interval := make_interval(mins => p_step_minutes);
    v_grid constant bigint := p_step_minutes * 60000000::bigint;
    v_before constant interval := make_interval(mins => p_policy.buffer_before_minutes);
    v_after constant interval := make_interval(mins => p_policy.buffer_after_minutes);
    v_around constant tstzrange := tstzrange(v_from - v_before, v_to + v_after, '[]');
    -- The day before is included: its windows may cross midnight.
    v_first constant date := (v_from at time zone p_policy.time_zone)::date - 1;
    v_days constant integer := (v_to at time zone p_policy.time_zone)::date - v_first;
    v_weekday integer;
    v_weekly bigint;
    v_open tstzmultirange;
    v_dates date[];
    -- The grid has its first point so many microseconds after midnight.
    v_shift bigint;
    v_other_shift bigint;
    v_utc_offset interval;
    v_origin timestamptz;
    v_starts tstzmultirange;
    v_rule text;
    v_next_start timestamptz;
    v_found bookingdb.free_starts;
begin
    -- What is not so simple is left to free_times() and slot_starts().
    if 1440 % p_step_minutes > 0
        or least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000 then
        return null;
    end if;
    if v_days < 4 then
        -- Within a week two looks at the clock are enough (steady_offset).
        v_utc_offset := (v_first - 1)::timestamptz at time zone p_policy.time_zone - (v_first - 1);
        if (v_first + 6)::timestamptz at time zone p_policy.time_zone - (v_first + 6) <> v_utc_offset then
            v_utc_offset := null;
        end if;
    else
        v_utc_offset := bookingdb.steady_offset(v_first, v_first + v_days, p_policy.time_zone);
    end if;
    if v_utc_offset is null then
        return null;
    end if;

    v_origin := v_first::timestamptz - v_utc_offset;
    if p_with_hours and (p_policy.require_hours or p_policy.has_hours) then
        v_weekday := 7 - extract(isodow from v_first)::integer;
        v_dates := array(
            select v.override_date
            from bookingdb.date_overrides as v
            where v.therapist_id = p_policy.therapist_id and v.override_date between v_first and v_first + v_days
        );
        -- A window in another zone is told by its shift, which no other one has.
        select
            count(*),
            range_agg(tstzrange(
                w.midnight + w.start_time::interval,
                w.midnight + w.end_time::interval
                + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end
            )),
            min(w.shift),
            max(w.shift)
        into v_weekly, v_open, v_shift, v_other_shift
        from (
            select
                d.start_time,
                d.end_time,
                d.shift,
                v_origin + interval '24 hours' * d.day as midnight
            from (
                select
                    h.start_time,
                    h.end_time,
                    h.valid_from,
                    h.valid_to,
                    h.every_weeks,
                    case
                        when h.time_zone is not null then -1
                        when p_policy.slot_anchor = 'midnight' then 0
                        else (1000000 * date_part('epoch', h.start_time))::bigint % v_grid
                    end as shift,
                    generate_series((h.weekday + v_weekday) % 7, v_days, 7) as day
                from bookingdb.weekly_hours as h
                where h.therapist_id = p_policy.therapist_id
            ) as d
            where d.shift < 0
                or (
                    (d.valid_from is null or v_first + d.day >= d.valid_from)
                    and (d.valid_to is null or v_first + d.day <= d.valid_to)
                    and (
                        d.every_weeks = 1
                        or bookingdb.weeks_to_wait(v_first + d.day, d.valid_from, d.every_weeks) = 0
                    )
                    and v_first + d.day <> all (v_dates)
                )
        ) as w;
        if v_dates <> '{}' then
            select
                coalesce(v_open, '{}') + coalesce(range_agg(tstzrange(
                    v_origin + interval '24 hours' * (v.override_date - v_first) + v.start_time::interval,
                    v_origin + interval '24 hours' * (v.override_date - v_first) + v.end_time::interval
                    + case when v.end_time <= v.start_time then interval '24 hours' else interval '0' end
                )), '{}'),
                least(v_shift, min(
                    case
                        when p_policy.slot_anchor = 'midnight' then 0
                        else (1000000 * date_part('epoch', v.start_time))::bigint % v_grid
                    end
                )),
                greatest(v_other_shift, max(
                    case
                        when p_policy.slot_anchor = 'midnight' then 0
                        else (1000000 * date_part('epoch', v.start_time))::bigint % v_grid
                    end
                ))
            into v_open, v_shift, v_other_shift
            from bookingdb.date_overrides as v
            where v.therapist_id = p_policy.therapist_id
                and v.override_date = any (v_dates)
                and v.start_time is not null;
        end if;
        if v_shift < 0 or v_shift <> v_other_shift then
            return null;
        end if;
        if v_weekly = 0 and not p_policy.require_hours then
            if not bookingdb.had_hours(p_policy.therapist_id) then
                return null;
            end if;
        end if;
        v_open := coalesce(v_open, '{}');
    end if;
    v_origin := v_origin + interval '1 microsecond' * coalesce(v_shift, 0)
        + make_interval(mins => p_policy.slot_offset_minutes);

    -- What is taken is that of busy_times(): the call would be 10 % of a refusal.
    select
        tstzmultirange(p_span) - coalesce(range_agg(b.starts), '{}'),
        (
            array_agg(
                case when b.period && v_period then b.kind else 'buffer' end
                order by (b.period && v_period) desc, lower(b.period)
            ) filter (where b.starts @> v_from and b.kind is not null)
        )[1]
    into v_starts, v_rule
    from (
        select
            c.kind,
            c.period,
            tstzrange(lower(c.blocked) - p_length - v_after, upper(c.blocked) + v_before, '()') as starts
        from bookingdb.calendar as c
        where c.therapist_id = p_policy.therapist_id
            and c.blocked && v_around
            and c.kind in ('session', 'hold')
            and (c.expires_at is null or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id
        union all
        select
            a.kind,
            a.period,
            case a.kind
                when 'time_off' then tstzrange(lower(a.period) - p_length, upper(a.period), '()')
                else tstzrange(lower(a.period) - p_length - v_after, upper(a.period) + v_before, '()')
            end
        from bookingdb.absences as a
        where a.therapist_id = p_policy.therapist_id
            and a.period && v_around
            and a.id is distinct from p_except_id
        union all
        -- A session that begins less than its length before the therapist closes would still last then.
        select null, null, tstzrange(lower(c.closed) - p_length, upper(c.closed), '()')
        from unnest('{(,)}' - v_open) as c (closed)
    ) as b;

    v_next_start := date_bin(v_step, lower(v_starts) + v_step - interval '1 microsecond', v_origin);
    -- NULL ends it, too: no piece is left.
    while not v_starts @> v_next_start loop
        v_next_start := date_bin(
            v_step,
            lower(v_starts - tstzmultirange(tstzrange(null, v_next_start, '[]'))) + v_step - interval '1 microsecond',
            v_origin
        );
    end loop;
    v_found := row(
        v_starts, v_origin, v_utc_offset, v_next_start, v_open is null or v_open @> v_period, v_rule
    );
    return v_found;
end;
$function$;

comment on function bookingdb.free_starts(
    bookingdb.effective_policy, tstzrange, interval, integer, uuid, boolean
) is
'Returns the free starts of a span, the first on the grid, and what is against its lower end; NULL where only free_times() and slot_starts() can: limits, clock changes, windows of several grids.';
