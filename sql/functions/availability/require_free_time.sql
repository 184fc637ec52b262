create or replace function bookingdb.require_free_time(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_client_id uuid default null
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
    v_start constant tstzrange := tstzrange(lower(p_period), lower(p_period), '[]');
    v_rule text;
begin
    perform bookingdb.require_to_come(lower(p_period));
    if lower(p_period) < lower(v_span) then
        perform bookingdb.raise_error('too_soon', bookingdb.refusal_context(
            'minimum_notice', p_policy, p_period, p_except_id, p_with_hours
        ));
    end if;
    if lower(p_period) > upper(v_span) then
        perform bookingdb.raise_error('too_far', bookingdb.refusal_context(
            'maximum_advance', p_policy, p_period, p_except_id, p_with_hours
        ));
    end if;
    if not bookingdb.is_within_hours_and_limits(p_policy, p_period, p_except_id, p_with_hours, false) then
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
            -- There were hours.
            when exists (
                select from bookingdb.therapists_with_hours as h where h.therapist_id = p_policy.therapist_id
            ) then 'weekly_hours'
            -- The session reaches into a closed date.
            else 'date_override'
        end;
        perform bookingdb.raise_error('outside_availability', bookingdb.refusal_context(
            v_rule, p_policy, p_period, p_except_id, p_with_hours
        ));
    end if;

    -- The rule is what the session meets, else what it comes too close to, else what is full.
    select case when b.period && p_period then b.kind else 'buffer' end
    into v_rule
    from bookingdb.busy_times(p_policy, v_start, upper(p_period) - lower(p_period), p_except_id) as b
    where b.starts @> lower(p_period)
    order by (b.period && p_period) desc, lower(b.period)
    limit 1;
    if v_rule is null and least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000 then
        select f.rule
        into v_rule
        from bookingdb.full_times(p_policy, v_start, p_except_id) as f
        where f.period @> lower(p_period)
        order by f.rule
        limit 1;
    end if;
    if v_rule is not null then
        perform bookingdb.raise_error('booking_conflict', bookingdb.refusal_context(
            v_rule, p_policy, p_period, p_except_id, p_with_hours
        ) || case
            when v_rule = 'hold' then
                bookingdb.own_time_context(p_client_id, p_policy.therapist_id, p_period, p_except_id)
            else '{}'
        end);
    end if;
end;
$function$;

comment on function bookingdb.require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean, uuid) is
'Refuses times at which a policy''s therapist is not free. DETAIL names the rule. Caller holds: the therapist''s lock, or asks again. Raises: too_soon, too_far, outside_availability, booking_conflict.';
