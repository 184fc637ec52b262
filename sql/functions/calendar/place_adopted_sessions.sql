create or replace function bookingdb.place_adopted_sessions()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '256MB'
set maintenance_work_mem = '256MB'
as $function$
declare
    -- From this many sessions on, rebuilding the constraints' indexes is faster than writing row by row.
    c_many constant integer := 10000;
    v_occupying text[];
    v_new bigint;
    v_contested_ids uuid[];
    v_constraints text[] := '{}';
    v_statement text;
    v_placed bigint;
    v_session record;
    v_reason text;
begin
    -- 66 people make lock_people() take the one lock for everybody; fewer are locked one by one.
    perform bookingdb.lock_people(array(
        select s.therapist_id from public.sessions as s
        union
        select s.user_id from public.sessions as s
        limit 66
    ));
    v_occupying := bookingdb.occupying_statuses();

    -- Find the sessions that overlap others of their therapist or client. In the order of starts, a session overlaps an
    -- earlier one if it starts before the last end so far, and a later one if it ends after the next start.
    -- has_place_in_time() is spelled out here and below: over all sessions a call costs 3 microseconds a row, this 0.3.
    with taken as (
        select s.id, s.therapist_id, s.user_id as client_id, tstzrange(s.start_time, s.end_time) as period,
            tstzrange(s.start_time, s.end_time) as blocked, true as is_new
        from public.sessions as s
        where s.status = any (v_occupying)
            and (s.therapist_id is not null or s.user_id is not null)
            and s.start_time < s.end_time
            and s.start_time >= timestamptz '1900-01-01 00:00:00+00'
            and s.end_time < timestamptz '3000-01-01 00:00:00+00'
            and s.end_time <= least(s.start_time, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
            and not exists (select from bookingdb.calendar as c where c.id = s.id)
            and not exists (select from bookingdb.absences as a where a.id = s.id)
        union all
        select c.id, c.therapist_id, c.client_id, c.period, c.blocked, false
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold')
    )
    select (select count(*) from taken as t where t.is_new), array_agg(distinct o.id)
    into v_new, v_contested_ids
    from (
        select t.id, t.is_new,
            lower(t.blocked) < max(upper(t.blocked)) over (w rows between unbounded preceding and 1 preceding)
            or upper(t.blocked) > lead(lower(t.blocked)) over w as overlaps
        from taken as t
        where t.therapist_id is not null
        window w as (partition by t.therapist_id order by lower(t.blocked), t.id)
        union all
        select t.id, t.is_new,
            lower(t.period) < max(upper(t.period)) over (w rows between unbounded preceding and 1 preceding)
            or upper(t.period) > lead(lower(t.period)) over w
        from taken as t
        where t.client_id is not null
        window w as (partition by t.client_id order by lower(t.period), t.id)
    ) as o
    where o.is_new and o.overlaps;

    if v_new > c_many then
        v_constraints := array(
            select format(
                'alter table bookingdb.calendar add constraint %I %s', c.conname, pg_get_constraintdef(c.oid)
            )
            from pg_constraint as c
            where c.conrelid = 'bookingdb.calendar'::regclass and c.contype = 'x'
        );
        for v_statement in
            select format('alter table bookingdb.calendar drop constraint %I', c.conname)
            from pg_constraint as c
            where c.conrelid = 'bookingdb.calendar'::regclass and c.contype = 'x'
        loop
            execute v_statement;
        end loop;
    end if;

    -- All others are placed at once, therapist by therapist, so that the indexes are written page by page. Buffers are
    -- for new bookings.
    insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
    select s.id, 'session', s.therapist_id, s.user_id, tstzrange(s.start_time, s.end_time),
        tstzrange(s.start_time, s.end_time)
    from public.sessions as s
    where s.status = any (v_occupying)
        and (s.therapist_id is not null or s.user_id is not null)
        and s.start_time < s.end_time
        and s.start_time >= timestamptz '1900-01-01 00:00:00+00'
        and s.end_time < timestamptz '3000-01-01 00:00:00+00'
        and s.end_time <= least(s.start_time, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
        and not exists (select from bookingdb.calendar as c where c.id = s.id)
        and not exists (select from bookingdb.absences as a where a.id = s.id)
        and not exists (select from unnest(v_contested_ids) as n (id) where n.id = s.id)
    order by s.therapist_id, s.start_time;
    get diagnostics v_placed = row_count;
    foreach v_statement in array v_constraints loop
        execute v_statement;
    end loop;
    -- The rest of this transaction plans by these statistics.
    analyze bookingdb.calendar;

    -- Among sessions that overlap, the one that was created first has the time.
    for v_session in
        select s.id, s.therapist_id, s.user_id, s.start_time, s.end_time,
            tstzrange(s.start_time, s.end_time) as period
        from unnest(v_contested_ids) as n (id)
        inner join public.sessions as s on s.id = n.id
        order by s.created_at, s.id
    loop
        v_reason := case
            when exists (
                select from bookingdb.calendar as c
                where c.therapist_id = v_session.therapist_id
                    and c.blocked && v_session.period
                    and c.kind in ('session', 'hold')
            ) then 'booking_conflict'
            when exists (
                select from bookingdb.calendar as c
                where c.client_id = v_session.user_id
                    and c.period && v_session.period
                    and c.kind in ('session', 'hold')
            ) then 'client_conflict'
        end;
        if v_reason is null then
            insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
            values (
                v_session.id, 'session', v_session.therapist_id, v_session.user_id, v_session.period, v_session.period
            );
            v_placed := v_placed + 1;
        else
            insert into bookingdb.overlapping_sessions (
                session_id, therapist_id, user_id, start_time, end_time, reason
            )
            values (
                v_session.id, v_session.therapist_id, v_session.user_id, v_session.start_time, v_session.end_time,
                v_reason
            );
            insert into bookingdb.absences (
                id, kind, therapist_id, client_id, period, external_source, external_id
            )
            values (
                v_session.id, 'external', v_session.therapist_id, v_session.user_id, v_session.period, 'adoption',
                v_session.id::text
            );
        end if;
    end loop;
    perform bookingdb.mirror_all_times();
    return v_placed;
end;
$function$;

comment on function bookingdb.place_adopted_sessions() is
'Gives the sessions of an adopted database calendar rows; returns how many. Among overlapping ones the first created gets it; the others go to overlapping_sessions, with a stand-in.';
