-- Public.
create or replace function bookingdb.list_available_slots(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
    p_time_zone text default null,
    p_step_minutes integer default null,
    p_exclude_session_id uuid default null,
    p_user_id uuid default null
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
    v_step interval;
    v_span tstzrange;
    v_offset interval;
    v_found bookingdb.free_starts;
begin
    perform bookingdb.authorise_anyone();
    if num_nonnulls(p_exclude_session_id, p_user_id) > 0 then
        perform bookingdb.authorise_slots(p_exclude_session_id, p_user_id, p_therapist_id);
    end if;
    v_policy := bookingdb.slot_policy(p_therapist_id, p_duration_minutes, p_step_minutes);
    v_length := make_interval(mins => p_duration_minutes);
    v_step := make_interval(mins => coalesce(p_step_minutes, v_policy.slot_step_minutes));
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, v_policy.time_zone);

    -- Both dates are whole days of the zone asked for, cut down to the booking window.
    v_span := bookingdb.span_of_dates(p_from, p_to, v_time_zone) * bookingdb.bookable_span(v_policy);
    if isempty(v_span) then
        return;
    end if;
    if p_user_id is null then
        v_found := bookingdb.free_starts(
            v_policy, v_span, v_length, coalesce(p_step_minutes, v_policy.slot_step_minutes), p_exclude_session_id,
            true
        );
    end if;
    if v_time_zone = v_policy.time_zone then
        v_offset := v_found.utc_offset;
    end if;
    v_offset := coalesce(v_offset, bookingdb.steady_offset(p_from, p_to, v_time_zone));
    if v_found.starts is not null and v_offset is not null then
        -- In order, because pieces are.
        return query
        select
            s.start, s.start + v_length, (s.start at time zone v_offset)::date,
            (s.start at time zone v_offset)::time
        from (
            select
                generate_series(
                    date_bin(v_step, lower(f.piece) + v_step - interval '1 microsecond', v_found.origin),
                    upper(f.piece) - case when upper_inc(f.piece) then interval '0' else interval '1 microsecond' end,
                    v_step
                ) as start
            from unnest(v_found.starts) as f (piece)
        ) as s;
        return;
    end if;

    return query
    select l.start, l.start + v_length, l.local::date, l.local::time
    from (
        select s.start, coalesce(s.start at time zone v_offset, s.start at time zone v_time_zone) as local
        from bookingdb.free_times(
            array[v_policy], v_span, v_length, p_exclude_session_id, true, p_user_id
        ) as f
        cross join lateral bookingdb.slot_starts(
            f.starts, v_policy.time_zone, coalesce(p_step_minutes, v_policy.slot_step_minutes),
            v_policy.slot_offset_minutes, f.windows
        ) as s (start)
        -- offset 0: computed once, not wherever it is named.
        offset 0
    ) as l
    order by l.start;
end;
$function$;

comment on function bookingdb.list_available_slots(uuid, date, date, integer, text, integer, uuid, uuid) is
'Lists the times at which a session of p_duration_minutes can be booked with a therapist now, from p_from to p_to (both included, at most 366 days), every p_step_minutes (else the policy''s) of the therapist''s clock, in order. Dates and times are local to p_time_zone, else to the therapist''s zone. An hour that occurs twice is listed twice. p_exclude_session_id leaves out that session, which is to be moved (of the client, the therapist and trusted callers); with p_user_id the times are those that this client can book: their own hold with the therapist is free, and what they have elsewhere is not. For every logged-in user and for trusted callers.';
