create or replace function bookingdb.free_times(
    p_therapist_ids uuid[],
    p_span tstzrange,
    p_length interval,
    p_except_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns setof bookingdb.free_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set jit = off
as $function$
begin
    -- A set of instants: where hours let a session of this length start, without those at which it would meet something
    -- in the calendar, and without the days and weeks that are full.
    return query
    select
        t.therapist_id,
        h.starts - coalesce(b.starts, '{}') - coalesce(f.starts, '{}')
    from bookingdb.policies_of(p_therapist_ids) as t
    left join bookingdb.opening_times(
        case when p_with_hours then p_therapist_ids else '{}' end, lower(p_span), upper(p_span) + p_length
    ) as o on o.therapist_id = t.therapist_id
    cross join lateral (
        select case
            when o.open is null or o.open = '{(,)}' then tstzmultirange(p_span)
            -- The whole session lies within hours: it can start until its length before they end.
            else tstzmultirange(p_span) * coalesce((
                select range_agg(tstzrange(lower(w.period), upper(w.period) - p_length, '[]'))
                from unnest(o.open) as w (period)
                where lower(w.period) <= upper(w.period) - p_length
            ), '{}')
        end as starts
    ) as h
    cross join lateral (
        select
            make_interval(mins => t.buffer_before_minutes) as buffer_before,
            make_interval(mins => t.buffer_after_minutes) as buffer_after
    ) as m
    cross join lateral (
        select tstzrange(
            lower(p_span) - m.buffer_before, upper(p_span) + p_length + m.buffer_after, '[]'
        ) as period
    ) as s
    left join lateral (
        -- What is there from x to y is in the way of starts after x - length and before y, both further by the buffers
        -- of the new session. (Those of the other one are in blocked.) Time off is no session: it needs no distance.
        select range_agg(tstzrange(
            lower(c.blocked) - p_length - case c.kind when 'time_off' then interval '0' else m.buffer_after end,
            upper(c.blocked) + case c.kind when 'time_off' then interval '0' else m.buffer_before end,
            '()'
        )) as starts
        from (
            -- Two look-ups, because two indexes cover the kinds: the exclusion constraint's and that of the absences.
            select k.kind, k.blocked
            from bookingdb.calendar as k
            where k.therapist_id = t.therapist_id
                and k.blocked && s.period
                and k.kind in ('session', 'hold')
                and (k.kind = 'session' or k.expires_at > clock_timestamp())
                and k.id is distinct from p_except_id
            union all
            select k.kind, k.blocked
            from bookingdb.calendar as k
            where k.therapist_id = t.therapist_id
                and k.blocked && s.period
                and k.kind in ('time_off', 'external')
        ) as c
    ) as b on true
    left join lateral (
        select range_agg(d.period) as starts
        from bookingdb.full_times(t, p_span, p_except_id) as d
        where p_with_limits and least(t.maximum_sessions_per_day, t.maximum_sessions_per_week) < 1000
    ) as f on true;
end;
$function$;

comment on function bookingdb.free_times(uuid[], tstzrange, interval, uuid, boolean, boolean) is
'The one definition of free: the instants of a span (with two ends) at which a session of a length can start with each of these therapists, as far as hours, calendar, buffers and limits go (p_with_hours, p_with_limits false: without these), not counting the session or hold p_except_id. Notice, horizon and the client''s own sessions are the caller''s to look at. The list, the check, the booking and direct writes all ask here.';
