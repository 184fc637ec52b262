create or replace function public.set_policy(p_settings jsonb, p_therapist_id uuid default null)
returns table (
    therapist_id uuid,
    time_zone text,
    minimum_duration_minutes integer,
    maximum_duration_minutes integer,
    cancellation_window interval,
    refund_grace interval,
    hold_lifetime interval,
    buffer_before_minutes integer,
    buffer_after_minutes integer,
    minimum_notice interval,
    maximum_advance interval,
    slot_step_minutes integer,
    slot_offset_minutes integer,
    maximum_sessions_per_day integer,
    maximum_sessions_per_week integer,
    require_hours boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select p.therapist_id, p.time_zone, p.minimum_duration_minutes, p.maximum_duration_minutes,
        p.cancellation_window, p.refund_grace, p.hold_lifetime, p.buffer_before_minutes, p.buffer_after_minutes,
        p.minimum_notice, p.maximum_advance, p.slot_step_minutes, p.slot_offset_minutes, p.maximum_sessions_per_day,
        p.maximum_sessions_per_week, p.require_hours
    from bookingdb.set_policy(p_settings, p_therapist_id) as p;
end;
$function$;

comment on function public.set_policy(jsonb, uuid) is
'Changes settings for a therapist, or (null) by default: p_settings is an object of those get_policy() returns, null for as the default says. What was booked keeps its deal. For trusted callers. Errors: docs/errors.md.';
