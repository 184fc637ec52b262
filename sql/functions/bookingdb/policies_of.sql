create or replace function bookingdb.policies_of(p_therapist_ids uuid[])
returns setof bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $function$
begin
    return query
    select
        i.id,
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
        coalesce(o.require_hours, d.require_hours)
    from unnest(p_therapist_ids) as i (id)
    inner join bookingdb.policies as d on d.therapist_id is null
    left join lateral (
        -- By its index, for few therapists as for many.
        select p.*
        from bookingdb.policies as p
        where p.therapist_id = i.id
        limit 1
    ) as o on true;
end;
$function$;

comment on function bookingdb.policies_of(uuid[]) is
'What holds for each of these therapists: the settings of its own, and the default''s where it has none. Null asks for the default.';
