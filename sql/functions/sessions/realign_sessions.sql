-- Public.
create or replace function bookingdb.realign_sessions(
    p_therapist_id uuid default null,
    p_dry_run boolean default false
)
returns setof bookingdb.realigned_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_ids uuid[];
    v_sessions bookingdb.realigned_session[];
    v_session bookingdb.realigned_session;
    v_old bookingdb.calendar[];
    v_reason text;
    v_reasons jsonb := '{}';
    v_returning jsonb;
    v_moved_ids uuid[] := '{}';
    v_written bigint;
begin
    perform bookingdb.authorise_trusted();
    if p_dry_run is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_dry_run', 'reason', 'missing'
        ));
    end if;

    -- 1. The locks, in everybody's order: sessions by id, then people. What was found without them is asked again.
    v_ids := array(
        select f.session_id
        from bookingdb.sessions_off_time(p_therapist_id) as f
        order by f.session_id
    );
    perform bookingdb.lock_sessions(v_ids);
    perform bookingdb.lock_people(array(
        select p.id
        from public.sessions as s
        cross join lateral (values (s.therapist_id), (s.user_id)) as p (id)
        where s.id = any (v_ids)
    ));
    v_sessions := array(
        select row(
            s.id, s.therapist_id, s.user_id, s.scheduled_date, s.scheduled_time, f.time_zone, s.start_time,
            f.agreed_start, null, null
        )::bookingdb.realigned_session
        from bookingdb.sessions_off_time(p_therapist_id) as f
        inner join public.sessions as s on s.id = f.session_id
        where s.id = any (v_ids)
        order by s.start_time, s.id
    );

    -- 2. All give up their time, so that sessions back to back, and those that swap, are not in each other's way.
    with given_up as (
        delete from bookingdb.calendar as c
        where c.id = any (array(select n.session_id from unnest(v_sessions) as n)) and c.kind = 'session'
        returning c.*
    )
    select coalesce(array_agg(row(g.*)::bookingdb.calendar), '{}')
    into v_old
    from given_up as g;
    -- The expired holds in the way of any, in their order.
    perform bookingdb.remove_expired_holds(
        array(
            select p.id
            from unnest(v_sessions) as s
            cross join lateral (values (s.therapist_id), (s.user_id)) as p (id)
        ),
        (
            select range_agg(tstzrange(
                bookingdb.add_elapsed(s.new_start_time, lower(o.blocked) - lower(o.period)),
                bookingdb.add_elapsed(s.new_start_time, upper(o.blocked) - lower(o.period))
            ))
            from unnest(v_sessions) as s
            inner join unnest(v_old) as o on o.id = s.session_id
            where s.new_start_time is not null
        )
    );

    -- 3. The earliest takes its agreed time first.
    foreach v_session in array v_sessions loop
        v_reason := bookingdb.take_agreed_time(v_session, (
            select row(o.*)::bookingdb.calendar from unnest(v_old) as o where o.id = v_session.session_id
        ));
        if v_reason is null then
            v_moved_ids := v_moved_ids || v_session.session_id;
        else
            v_reasons := v_reasons || jsonb_build_object(v_session.session_id, v_reason);
        end if;
    end loop;

    -- 4. The others return to the time they had. A session that moved onto it returns as well, and so on.
    v_returning := v_reasons;
    while v_returning <> '{}' loop
        v_returning := bookingdb.return_old_times(
            v_old, array(select k.id::uuid from jsonb_object_keys(v_returning) as k (id)), v_moved_ids
        );
        v_reasons := v_reasons || v_returning;
        v_moved_ids := array(
            select m.id from unnest(v_moved_ids) as m (id) where not v_returning ? m.id::text
        );
    end loop;

    -- 5. The triggers find the calendar in step, and write the audit row and the event of each.
    if p_dry_run then
        perform bookingdb.return_old_times(v_old, v_moved_ids, v_moved_ids);
    else
        update public.sessions as s
        set start_time = lower(c.period),
            end_time = upper(c.period),
            (free_cancellation_until, cancellation_notice) = (
                select t.free_cancellation_until, t.cancellation_notice
                from bookingdb.move_cancellation_terms(
                    s, bookingdb.policy_of(s.therapist_id), lower(c.period), null
                ) as t
            ),
            updated_at = now()
        from bookingdb.calendar as c
        where c.id = s.id and c.kind = 'session' and s.id = any (v_moved_ids);
        get diagnostics v_written = row_count;
        if v_written <> cardinality(v_moved_ids) then
            perform bookingdb.raise_write_swallowed();
        end if;
    end if;

    return query
    select n.session_id, n.therapist_id, n.user_id, n.scheduled_date, n.scheduled_time, n.time_zone,
        n.old_start_time, n.new_start_time, case when r.reason is null then 'moved' else 'conflict' end, r.reason
    from unnest(v_sessions) as n
    cross join lateral (select v_reasons ->> n.session_id::text) as r (reason)
    order by n.old_start_time, n.session_id;
end;
$function$;

comment on function bookingdb.realign_sessions(uuid, boolean) is
'Moves sessions to come back to their agreed local time where their zone has got other rules since, those of a therapist or (NULL) of all, as one set; returns one row for each. A session whose agreed time is taken, past or skipped by a clock change stays (outcome conflict, with the reason). p_dry_run changes nothing. For trusted callers. Raises: invalid_parameter.';
