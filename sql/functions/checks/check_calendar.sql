create or replace function bookingdb.check_calendar()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
begin
    -- Each session that takes place has exactly one calendar row, with its people and times; no other session has
    -- one. (Two are impossible: the row has the session's id.) A session in overlapping_sessions has its stand-in. One
    -- that is over may have lost its row to housekeeping().
    return query
    select 2, coalesce(s.id, c.id, o.session_id),
        case
            when s.id is null and c.id is null then 'record of an overlapping session that does not take place'
            when c.id is null then 'session has no calendar row'
            when s.id is null then 'calendar row without a session that takes place'
            when c.is_stand_in is distinct from (o.session_id is not null)
                then 'calendar row stands in for a session that is not recorded as overlapping, or the other way round'
            else 'calendar row differs from its session'
        end,
        jsonb_build_object('session_status', s.status)
    from (
        -- has_place_in_time(), spelled out: over all sessions a call costs 3 microseconds a row, this 0.3.
        select t.id, t.status, t.therapist_id, t.user_id, t.start_time, t.end_time, t.approval_until
        from public.sessions as t
        where t.status = any (array(select o.status from unnest(bookingdb.occupying_statuses()) as o (status)))
            and (t.therapist_id is not null or t.user_id is not null)
            and t.start_time < t.end_time
            and t.start_time >= timestamptz '1900-01-01 00:00:00+00'
            and t.end_time < timestamptz '3000-01-01 00:00:00+00'
            and t.end_time <= least(t.start_time, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
    ) as s
    full join (
        select k.id, k.therapist_id, k.client_id, k.period, k.blocked, k.expires_at, false as is_stand_in
        from bookingdb.calendar as k
        where k.kind = 'session' and k.mirror_of is null
        union all
        select a.id, a.therapist_id, a.client_id, a.period, a.period, null, true
        from bookingdb.absences as a
        where a.external_source = 'adoption'
    ) as c on c.id = s.id
    full join bookingdb.overlapping_sessions as o on o.session_id = coalesce(s.id, c.id)
    where s.id is null
        or (c.id is null and (s.end_time > clock_timestamp() or o.session_id is not null))
        or c.is_stand_in <> (o.session_id is not null)
        or (c.id is not null and c.therapist_id is distinct from s.therapist_id)
        or (c.id is not null and c.client_id is distinct from s.user_id)
        or c.period <> tstzrange(s.start_time, s.end_time)
        or not c.blocked @> c.period
        or (not c.is_stand_in and c.expires_at is distinct from s.approval_until)
        or (
            o.session_id is not null
            and (o.therapist_id, o.user_id, o.start_time, o.end_time)
            is distinct from (s.therapist_id, s.user_id, s.start_time, s.end_time)
        );

    -- A person has one time, as therapist and as client.
    return query
    select 2, m.mirror_of, 'calendar row of the other part of a person differs from its session or hold',
        jsonb_build_object('mirror_id', m.id)
    from bookingdb.calendar as m
    left join bookingdb.calendar as c on c.id = m.mirror_of
    where m.mirror_of is not null
        and (
            m.id = any (c.mirror_ids)
            and (m.therapist_id = c.client_id or m.client_id = c.therapist_id)
            and (m.kind, m.period, m.blocked) = (c.kind, c.period, c.period)
            and m.expires_at is not distinct from c.expires_at
        ) is not true;
    return query
    select 2, u.id, 'time is not kept in the other part of a person who is therapist and client', jsonb_build_object(
        'therapist_id', u.therapist_id, 'user_id', u.client_id
    )
    from bookingdb.unmirrored_times() as u;
end;
$function$;

comment on function bookingdb.check_calendar() is
'Invariant 2: returns the sessions to come whose calendar row is missing, sessions whose row differs, and the calendar rows without a session that takes place.';
