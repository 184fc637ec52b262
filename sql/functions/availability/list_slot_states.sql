-- Public.
create or replace function bookingdb.list_slot_states(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
    p_time_zone text default null,
    p_step_minutes integer default null,
    p_exclude_session_id uuid default null,
    p_user_id uuid default null
)
returns setof bookingdb.slot_state
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_time_zone text;
    v_policy bookingdb.effective_policy;
    v_length interval;
    v_span tstzrange;
    v_bookable tstzrange;
    v_open tstzmultirange;
    v_windows bookingdb.opening_window[];
    v_free tstzmultirange := '{}';
    v_away tstzmultirange;
begin
    perform bookingdb.authorise_anyone();
    if num_nonnulls(p_exclude_session_id, p_user_id) > 0 then
        perform bookingdb.authorise_slots(p_exclude_session_id, p_user_id, p_therapist_id);
    end if;
    v_policy := bookingdb.slot_policy(p_therapist_id, p_duration_minutes, p_step_minutes);
    v_length := make_interval(mins => p_duration_minutes);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, v_policy.time_zone);

    v_span := bookingdb.span_of_dates(p_from, p_to, v_time_zone);
    v_bookable := bookingdb.bookable_span(v_policy);
    select o.open, o.windows
    into v_open, v_windows
    from bookingdb.opening_times(array[v_policy], lower(v_span), upper(v_span) + v_length, true) as o;
    if v_span && v_bookable then
        v_free := (
            select f.starts
            from bookingdb.free_times(
                array[v_policy], v_span * v_bookable, v_length, p_exclude_session_id, true, p_user_id
            ) as f
        );
    end if;
    -- Somebody who is away is off, as outside of hours: nothing was booked there.
    v_away := coalesce((
        select range_agg(a.period)
        from bookingdb.absences as a
        where a.therapist_id = p_therapist_id
            and a.period && tstzrange(lower(v_span), upper(v_span) + v_length)
            and a.kind = 'time_off'
    ), '{}');
    return query
    select
        s.start, s.start + v_length, (s.start at time zone v_time_zone)::date,
        (s.start at time zone v_time_zone)::time,
        case
            when v_free @> s.start then 'free'
            when v_bookable @> s.start
                and v_open @> tstzrange(s.start, s.start + v_length)
                and not v_away && tstzrange(s.start, s.start + v_length) then 'taken'
            else 'off'
        end
    from bookingdb.slot_starts(
        tstzmultirange(v_span), v_policy.time_zone, coalesce(p_step_minutes, v_policy.slot_step_minutes),
        v_policy.slot_offset_minutes, v_windows
    ) as s (start)
    order by s.start;
end;
$function$;

comment on function bookingdb.list_slot_states(uuid, date, date, integer, text, integer, uuid, uuid) is
'Lists every point of a therapist''s grid of slots from p_from to p_to (both included, at most 366 days), for a calendar to draw: free, as in list_available_slots(); taken, which only a booking, an appointment of another calendar or a limit keeps from being free; off, which is outside of hours or of the booking window, or in time off. For every logged-in user and for trusted callers.';
