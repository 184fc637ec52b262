create or replace function bookingdb.require_free_time(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_span constant tstzrange := bookingdb.bookable_span(p_policy);
    -- A hold is booked without another look at hours and limits; what is free instead of it has to obey them.
    v_next_with_hours constant boolean := p_with_hours or not p_with_limits;
    v_open tstzmultirange;
    v_rule text;
begin
    -- The clock is read here: the call may have waited long for its locks.
    if lower(p_period) < clock_timestamp() then
        perform bookingdb.raise_error('in_past', jsonb_build_object('start_time', bookingdb.utc(lower(p_period))));
    end if;
    if p_with_limits and lower(p_period) < lower(v_span) then
        perform bookingdb.raise_error('too_soon', bookingdb.refusal_context(
            'minimum_notice', p_policy, p_period, p_except_id, v_next_with_hours
        ));
    end if;
    if p_with_limits and lower(p_period) > upper(v_span) then
        perform bookingdb.raise_error('too_far', bookingdb.refusal_context(
            'maximum_advance', p_policy, p_period, p_except_id, v_next_with_hours
        ));
    end if;
    if bookingdb.is_free(p_policy, p_period, p_except_id, p_with_hours, p_with_limits) then
        return;
    end if;

    -- Refused; what follows only finds out by which rule.
    if p_with_hours then
        select o.open
        into v_open
        from bookingdb.opening_times(array[p_policy.therapist_id], lower(p_period), upper(p_period)) as o;
    end if;
    if not v_open @> p_period then
        v_rule := case
            when exists (
                select from bookingdb.date_overrides as d
                where d.therapist_id = p_policy.therapist_id
                    and d.override_date = (lower(p_period) at time zone p_policy.time_zone)::date
            ) then 'date_override'
            when exists (
                select from bookingdb.weekly_hours as w where w.therapist_id = p_policy.therapist_id
            ) then 'weekly_hours'
            when p_policy.require_hours then 'require_hours'
            -- A session that reaches into a date which is closed.
            else 'date_override'
        end;
        perform bookingdb.raise_error('outside_availability', bookingdb.refusal_context(
            v_rule, p_policy, p_period, p_except_id, v_next_with_hours
        ));
    end if;

    -- Two look-ups, as in busy_times(): no index covers all kinds.
    select c.kind
    into v_rule
    from (
        select k.kind, k.period, k.id
        from bookingdb.calendar as k
        where k.therapist_id = p_policy.therapist_id
            and k.blocked && p_period
            and k.kind in ('session', 'hold')
            and (k.kind = 'session' or k.expires_at > clock_timestamp())
            and k.id is distinct from p_except_id
        union all
        select k.kind, k.period, k.id
        from bookingdb.calendar as k
        where k.therapist_id = p_policy.therapist_id
            and k.blocked && p_period
            and k.kind in ('time_off', 'external')
    ) as c
    where c.period && p_period
    order by lower(c.period), c.id
    limit 1;
    if v_rule is null and p_with_limits then
        select f.rule
        into v_rule
        from bookingdb.full_times(p_policy, tstzrange(lower(p_period), lower(p_period), '[]'), p_except_id) as f
        where f.period @> lower(p_period)
        order by f.rule
        limit 1;
    end if;
    perform bookingdb.raise_error('booking_conflict', bookingdb.refusal_context(
        coalesce(v_rule, 'buffer'), p_policy, p_period, p_except_id, v_next_with_hours
    ));
end;
$function$;

comment on function bookingdb.require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean) is
'Refuses a period that cannot be booked with the therapist of a policy, whose lock the caller holds; not counting the session p_except_id, without regard to hours where p_with_hours is false, to notice, horizon and numbers of sessions where p_with_limits is. DETAIL has the rule: minimum_notice, maximum_advance, weekly_hours, date_override, require_hours, session, hold, time_off, external, buffer, maximum_sessions_per_day, maximum_sessions_per_week. Raises in_past, too_soon, too_far, outside_availability, booking_conflict.';
