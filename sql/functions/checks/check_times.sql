create or replace function bookingdb.check_times()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
declare
    v_occupying constant text[] := bookingdb.occupying_statuses();
    -- Zones of sessions that this connection can tell the time in; asked once for each.
    v_zones constant text[] := array(
        select u.time_zone
        from (
            select distinct s.time_zone from public.sessions as s
            offset 0
        ) as u
        inner join bookingdb.time_zones as z on z.name = u.time_zone
        where bookingdb.has_current_rules(u.time_zone)
    );
    v_contradicting uuid[];
    v_off_time uuid[];
begin
    -- Nobody is misled by a session that has begun. One without a zone of its own has the therapist's of then.
    v_contradicting := array(
        select s.id
        from (
            select t.id, t.time_zone, t.start_time, t.scheduled_date + t.scheduled_time as local_time
            from public.sessions as t
            where t.status = any (v_occupying)
                and t.time_zone = any (v_zones)
                and t.start_time > clock_timestamp()
                and t.scheduled_date between date '1900-01-01' and date '2999-12-31'
                and t.start_time < timestamptz '3000-01-01 00:00:00+00'
            -- offset 0: only times in range are computed with.
            offset 0
        ) as s
        -- The call is for the few that differ: for all it would cost ten times as much.
        where s.start_time at time zone s.time_zone <> s.local_time
            and not bookingdb.is_same_minute(s.start_time at time zone s.time_zone, s.local_time)
    );
    if cardinality(v_contradicting) > 0 then
        -- A zone that got other rules is told by itself.
        v_off_time := array(select o.session_id from bookingdb.sessions_off_time() as o);
        return query
        select 10, s.id, 'local time differs from the start', jsonb_build_object(
            'local_time', s.scheduled_date + s.scheduled_time,
            'time_zone', s.time_zone,
            'date', (s.start_time at time zone s.time_zone)::date,
            'time', (s.start_time at time zone s.time_zone)::time
        )
        from public.sessions as s
        where s.id = any (v_contradicting)
            and s.id <> all (v_off_time)
            -- Asked again: a session that began since is off its time for nobody.
            and s.start_time > clock_timestamp();
    end if;

    return query
    select 10, s.id, 'duration differs from start and end', jsonb_build_object(
        'duration_minutes', s.duration_minutes, 'minutes', trunc(s.seconds / 60)::integer
    )
    from (
        select t.id, t.duration_minutes, extract(epoch from t.end_time - t.start_time) as seconds
        from public.sessions as t
        where t.status = any (v_occupying)
            and t.end_time > clock_timestamp()
            and t.start_time < t.end_time
            -- Without a place in the calendar nothing is promised of a session, and such a number may be anything.
            and isfinite(t.start_time)
            and t.end_time <= least(t.start_time, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
        offset 0
    ) as s
    where abs(s.seconds - 60.0 * s.duration_minutes) >= 60;
end;
$function$;

comment on function bookingdb.check_times() is
'Invariant 10: returns the sessions to come whose local time or duration contradicts their start and end.';
