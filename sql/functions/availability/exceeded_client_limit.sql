create or replace function bookingdb.exceeded_client_limit(
    p_policy bookingdb.effective_policy,
    p_client_id uuid,
    p_period tstzrange,
    p_except_id uuid,
    p_is_new boolean
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_rule text;
    v_limit integer;
    v_count bigint := 0;
    v_date date;
    v_monday date;
    v_week tstzrange;
begin
    if p_is_new and p_policy.maximum_open_sessions < 1000 then
        v_rule := 'maximum_open_sessions';
        v_limit := p_policy.maximum_open_sessions;
        -- Two look-ups, as in client_conflict().
        select count(*)
        into v_count
        from (
            select c.id
            from bookingdb.calendar as c
            where c.client_id = p_client_id
                and c.period && tstzrange(v_now, null)
                and c.kind in ('session', 'hold')
                and c.mirror_of is null
                and lower(c.period) > v_now
                and (c.expires_at is null or c.expires_at > v_now)
            union all
            select a.id
            from bookingdb.absences as a
            where a.client_id = p_client_id and lower(a.period) > v_now
        ) as o
        where o.id is distinct from p_except_id;
    end if;

    -- A week as full_times() counts it: sessions that took place, too, and requests that can be approved.
    if v_count < v_limit is not false and p_policy.maximum_client_sessions_per_week < 1000 then
        v_rule := 'maximum_client_sessions_per_week';
        v_limit := p_policy.maximum_client_sessions_per_week;
        v_date := lower(p_period) at time zone p_policy.time_zone;
        v_monday := v_date + 1 - extract(isodow from v_date)::integer;
        v_week := tstzrange(
            bookingdb.wall_clock_instant(v_monday, p_policy.time_zone),
            bookingdb.wall_clock_instant(v_monday + 7, p_policy.time_zone)
        );
        select count(*)
        into v_count
        from (
            select s.id
            from public.sessions as s
            where s.user_id = p_client_id
                and s.start_time >= lower(v_week)
                and s.start_time < upper(v_week)
                and s.status <> 'cancelled'
                and (s.status <> 'pending_approval' or least(s.approval_until, s.start_time) > v_now)
            union all
            -- The first condition on the kind is that of the index.
            select c.id
            from bookingdb.calendar as c
            where c.client_id = p_client_id
                and c.period && v_week
                and c.kind in ('session', 'hold')
                and c.kind = 'hold'
                and c.mirror_of is null
                and lower(c.period) <@ v_week
                and c.expires_at > v_now
        ) as o
        where o.id is distinct from p_except_id;
    end if;

    return case
        when v_count >= v_limit then jsonb_build_object('rule', v_rule, 'limit', v_limit, 'count', v_count)
    end;
end;
$function$;

comment on function bookingdb.exceeded_client_limit(
    bookingdb.effective_policy, uuid, tstzrange, uuid, boolean
) is
'Returns which limit refuses a client one session or hold more, and by how many, p_except_id left out; NULL for none. p_is_new false: it only moves to another week. Caller holds: the client''s lock.';
