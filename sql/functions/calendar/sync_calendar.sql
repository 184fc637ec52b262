create or replace function bookingdb.sync_calendar(p_session_ids uuid[], p_are_new boolean default false)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_changed_ids uuid[];
    v_people uuid[];
    v_kept_ids uuid[];
    v_kept_blocked tstzrange[];
    v_session record;
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.require_current_rows(p_session_ids);
    end if;

    -- Find the sessions that should occupy another time than their calendar rows say. A function of bookingdb leaves
    -- none, because it writes the calendar first. (A stand-in of overlapping_sessions has the session's time, too, and
    -- is_stand_in says so.)
    select
        array_agg(i.id),
        array_agg(s.therapist_id) || array_agg(s.user_id)
    into v_changed_ids, v_people
    from unnest(p_session_ids) as i (id)
    -- offset 0 makes each a look-up by id, whatever the statistics say.
    left join lateral (
        select n.id, n.therapist_id, n.user_id, n.start_time, n.end_time, n.approval_until
        from public.sessions as n
        where n.id = i.id
            and bookingdb.has_place_in_time(n)
        offset 0
    ) as s on true
    left join lateral (
        select k.id, k.therapist_id, k.client_id, k.period, k.expires_at, false as is_stand_in
        from bookingdb.calendar as k
        where k.id = i.id and k.kind = 'session'
        union all
        select a.id, a.therapist_id, a.client_id, a.period, null, true
        from bookingdb.absences as a
        where a.id = i.id and a.external_source = 'adoption'
        offset 0
    ) as c on true
    where (
            (s.id is null) <> (c.id is null)
            or s.therapist_id is distinct from c.therapist_id
            or s.user_id is distinct from c.client_id
            or s.start_time is distinct from lower(c.period)
            or s.end_time is distinct from upper(c.period)
            or (not c.is_stand_in and s.approval_until is distinct from c.expires_at)
        )
        -- Housekeeping removes the rows of sessions that were over long ago; nobody gives them new ones.
        and (p_are_new or c.id is not null or s.end_time > clock_timestamp());

    if v_changed_ids is null then
        return;
    end if;

    perform bookingdb.lock_people(v_people);

    -- Every old time is given up before a new one is taken: row by row, sessions that swap their times would be
    -- refused.
    with given_up as (
        delete from bookingdb.calendar as c
        where c.id = any (v_changed_ids) and c.kind = 'session'
        returning c.id, c.therapist_id, c.period, c.blocked
    )
    select array_agg(g.id), array_agg(g.blocked)
    into v_kept_ids, v_kept_blocked
    from given_up as g
    -- Look-ups by id, as above.
    cross join lateral (
        select n.therapist_id, n.start_time, n.end_time
        from public.sessions as n
        where n.id = g.id
        offset 0
    ) as s
    where s.therapist_id is not distinct from g.therapist_id
        and s.start_time = lower(g.period)
        and s.end_time = upper(g.period);

    -- A changed session is judged like all others from here on.
    delete from bookingdb.absences as a
    where a.id = any (v_changed_ids) and a.external_source = 'adoption';
    delete from bookingdb.overlapping_sessions as o
    where o.session_id = any (v_changed_ids);

    -- One session removes its own.
    if cardinality(v_changed_ids) > 1 then
        perform bookingdb.remove_expired_holds(v_people, (
            select range_agg(bookingdb.blocked_time(
                bookingdb.policy_of(s.therapist_id), tstzrange(s.start_time, s.end_time)
            ))
            from public.sessions as s
            where s.id = any (v_changed_ids)
                and bookingdb.has_place_in_time(s)
        ));
    end if;
    for v_session in
        select
            s.id,
            s.therapist_id,
            s.user_id,
            s.start_time,
            s.end_time,
            s.approval_until,
            k.blocked
        from public.sessions as s
        left join unnest(v_kept_ids, v_kept_blocked) as k (id, blocked) on k.id = s.id
        where s.id = any (v_changed_ids)
            and bookingdb.has_place_in_time(s)
        order by s.start_time, s.id
    loop
        v_period := tstzrange(v_session.start_time, v_session.end_time);
        v_policy := bookingdb.policy_of(v_session.therapist_id);
        perform bookingdb.mark_limited_booking(v_policy, v_session.user_id, v_period);
        -- Where only the client changed, the therapist keeps the time, with the buffers it was given.
        if v_session.blocked is null then
            if current_setting('transaction_isolation') <> 'read committed' then
                perform bookingdb.require_current_rules(array[v_session.therapist_id]);
            end if;
            v_session.blocked := bookingdb.blocked_time(v_policy, v_period);
            -- Hours and limits bind bookings only. Direct writers may ignore them, but nobody has two sessions at a
            -- time.
            if v_session.therapist_id is not null
                and not bookingdb.is_free(v_policy, v_period, v_session.id, false, false) then
                perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(
                    v_session.therapist_id, v_period
                ));
            end if;
        end if;
        perform bookingdb.occupy_time(
            v_session.id, v_session.therapist_id, v_session.user_id, v_period, v_session.blocked,
            v_session.approval_until, 'session'
        );
    end loop;
end;
$function$;

comment on function bookingdb.sync_calendar(uuid[], boolean) is
'Makes the calendar rows of these sessions what the sessions say, deleted ones included. One that is over gets none, unless p_are_new. Unchanged overlapping_sessions stay. Raises: booking_conflict.';
