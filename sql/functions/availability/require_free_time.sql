create or replace function bookingdb.require_free_time(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_client_id uuid default null,
    p_is_taken boolean default false
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
    v_searched_until timestamptz;
    v_found bookingdb.free_starts;
    v_next_start timestamptz;
    v_is_open boolean;
    v_rule text;
begin
    if lower(p_period) < clock_timestamp() then
        perform bookingdb.require_to_come(lower(p_period));
    end if;
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

    if p_is_taken then
        -- One search says everything. With hours it takes three days: tonight nobody is there.
        v_searched_until := least(
            upper(v_span), lower(p_period) + make_interval(hours => case when p_policy.has_hours then 72 else 24 end)
        );
        v_found := bookingdb.free_starts(
            p_policy, tstzrange(lower(p_period), v_searched_until, '[]'), upper(p_period) - lower(p_period),
            p_policy.slot_step_minutes, p_except_id, p_with_hours
        );
        v_next_start := v_found.next_start;
        v_is_open := v_found.is_open;
        v_rule := v_found.rule;
        if v_is_open and v_rule is null then
            return;
        end if;
    end if;
    if v_is_open is null then
        v_searched_until := null;
        v_is_open := bookingdb.is_within_hours_and_limits(p_policy, p_period, p_except_id, p_with_hours, false);
    end if;

    if not v_is_open then
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
            v_rule, p_policy, p_period, p_except_id, p_with_hours, v_next_start, v_searched_until
        ));
    end if;

    if v_rule is null then
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
    end if;
    if v_rule is not null then
        perform bookingdb.raise_error('booking_conflict', bookingdb.refusal_context(
            v_rule, p_policy, p_period, p_except_id, p_with_hours, v_next_start, v_searched_until
        ) || case
            when v_rule = 'hold' then
                bookingdb.own_time_context(p_client_id, p_policy.therapist_id, p_period, p_except_id)
            else '{}'
        end);
    end if;
end;
$function$;

comment on function bookingdb.require_free_time(
    bookingdb.effective_policy, tstzrange, uuid, boolean, uuid, boolean
) is
'Refuses times at which a policy''s therapist is not free; p_is_taken: likely. Caller holds: the lock, or asks again. Raises: too_soon, too_far, outside_availability, booking_conflict.';
