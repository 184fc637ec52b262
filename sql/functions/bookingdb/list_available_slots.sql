create or replace function bookingdb.list_available_slots(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer,
    p_time_zone text,
    p_step_minutes integer
)
returns setof bookingdb.available_slot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set timezone = 'UTC'
as $function$
declare
    v_time_zone text;
    v_policy bookingdb.effective_policy;
    v_length interval;
    v_span tstzrange;
    v_offset interval;
begin
    perform bookingdb.authorise_anyone();
    v_policy := bookingdb.slot_policy(p_therapist_id, p_duration_minutes, p_step_minutes);
    v_length := make_interval(mins => p_duration_minutes);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, v_policy.time_zone);

    -- Both dates are whole days of the zone that was asked for; what notice and horizon leave of them.
    v_span := bookingdb.span_of_dates(p_from, p_to, v_time_zone) * bookingdb.bookable_span(v_policy);
    if isempty(v_span) then
        return;
    end if;
    v_offset := bookingdb.steady_offset(p_from, p_to, v_time_zone);
    return query
    select l.start, l.start + v_length, l.local::date, l.local::time
    from (
        select s.start, coalesce(s.start at time zone v_offset, s.start at time zone v_time_zone) as local
        from bookingdb.free_times(array[v_policy], v_span, v_length, null, true) as f
        cross join lateral bookingdb.slot_starts(
            f.starts, v_policy.time_zone, coalesce(p_step_minutes, v_policy.slot_step_minutes),
            v_policy.slot_offset_minutes
        ) as s (start)
        -- Worked out once, and not wherever it is named.
        offset 0
    ) as l
    order by l.start;
end;
$function$;

comment on function bookingdb.list_available_slots(uuid, date, date, integer, text, integer) is
'The times at which a session of a length can be booked with a therapist now, on dates of a zone (p_time_zone, else the therapist''s), both included, in order. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_duration, invalid_parameter (p_to before p_from or more than a year; p_step_minutes 1 to 1440), therapist_not_found, invalid_time_zone, invalid_date.';
