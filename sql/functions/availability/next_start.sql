create or replace function bookingdb.next_start(
    p_policy bookingdb.effective_policy,
    p_length interval,
    p_after timestamptz,
    p_step_minutes integer,
    p_except_id uuid,
    p_with_hours boolean,
    p_client_id uuid default null
)
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_step_minutes constant integer := coalesce(p_step_minutes, p_policy.slot_step_minutes);
    v_span tstzrange := bookingdb.bookable_span(p_policy) * tstzrange(p_after, null);
    v_end constant timestamptz := upper(v_span);
    v_days integer := 1;
    v_found bookingdb.free_starts;
    v_next timestamptz;
begin
    -- The search takes the next day first, then ever longer stretches: mostly something is free soon.
    while not isempty(v_span) loop
        v_span := tstzrange(
            lower(v_span), least(v_end, lower(v_span) + make_interval(hours => 24 * v_days)), '[]'
        );
        if p_client_id is null then
            v_found := bookingdb.free_starts(p_policy, v_span, p_length, v_step_minutes, p_except_id, p_with_hours);
        end if;
        v_next := v_found.next_start;
        if v_found.starts is null then
            select s.start
            into v_next
            from bookingdb.free_times(
                array[p_policy], v_span, p_length, p_except_id, p_with_hours, p_client_id
            ) as f
            cross join lateral bookingdb.slot_starts(
                f.starts, p_policy.time_zone, v_step_minutes, p_policy.slot_offset_minutes, f.windows
            ) as s (start)
            order by s.start
            limit 1;
        end if;
        exit when v_next is not null or upper(v_span) >= v_end;
        v_span := tstzrange(upper(v_span), v_end, '[]');
        v_days := v_days * 4;
    end loop;
    return v_next;
end;
$function$;

comment on function bookingdb.next_start(
    bookingdb.effective_policy, interval, timestamptz, integer, uuid, boolean, uuid
) is
'Returns the first grid point at or after p_after at which p_client_id can book a policy''s therapist, p_except_id left out; NULL: the booking window has none. Without p_step_minutes the policy''s step.';
