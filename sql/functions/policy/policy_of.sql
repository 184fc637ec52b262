create or replace function bookingdb.policy_of(p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policy bookingdb.effective_policy;
begin
    select
        p_therapist_id,
        coalesce(o.time_zone, d.time_zone),
        coalesce(o.minimum_duration_minutes, d.minimum_duration_minutes),
        coalesce(o.maximum_duration_minutes, d.maximum_duration_minutes),
        coalesce(o.cancellation_window, d.cancellation_window),
        coalesce(o.refund_grace, d.refund_grace),
        coalesce(o.hold_lifetime, d.hold_lifetime),
        coalesce(o.buffer_before_minutes, d.buffer_before_minutes),
        coalesce(o.buffer_after_minutes, d.buffer_after_minutes),
        coalesce(o.minimum_notice, d.minimum_notice),
        coalesce(o.maximum_advance, d.maximum_advance),
        coalesce(o.slot_step_minutes, d.slot_step_minutes),
        coalesce(o.slot_offset_minutes, d.slot_offset_minutes),
        coalesce(o.maximum_sessions_per_day, d.maximum_sessions_per_day),
        coalesce(o.maximum_sessions_per_week, d.maximum_sessions_per_week),
        coalesce(o.require_hours, d.require_hours),
        exists (select from bookingdb.weekly_hours as w where w.therapist_id = p_therapist_id)
            or exists (select from bookingdb.date_overrides as v where v.therapist_id = p_therapist_id)
    into v_policy
    from bookingdb.policies as d
    left join bookingdb.policies as o on o.therapist_id = p_therapist_id
    where d.therapist_id is null;
    return v_policy;
end;
$function$;

comment on function bookingdb.policy_of(uuid) is
'What holds for a therapist: each setting is the therapist''s own, else the default''s. has_hours says whether there are weekly hours or overrides. Null asks for the default.';
