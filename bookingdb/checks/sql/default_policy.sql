-- Makes the default policy as it was installed.
insert into bookingdb.policies (time_zone, minimum_duration_minutes, maximum_duration_minutes,
    cancellation_window, refund_grace, hold_lifetime, buffer_before_minutes, buffer_after_minutes,
    minimum_notice, maximum_advance, slot_step_minutes, slot_offset_minutes, maximum_sessions_per_day,
    maximum_sessions_per_week, require_hours)
values ('UTC', 15, 180, '24 hours', '30 days', '5 minutes', 0, 0, '0', '365 days', 15, 0, 1000, 1000, false)
