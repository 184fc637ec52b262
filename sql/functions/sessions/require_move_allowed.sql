create or replace function bookingdb.require_move_allowed(
    p_session public.sessions,
    p_policy bookingdb.effective_policy
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_latest constant timestamptz := bookingdb.add_elapsed(p_session.start_time, -p_policy.reschedule_window);
    v_moves bigint;
begin
    if clock_timestamp() > v_latest then
        perform bookingdb.raise_error('reschedule_refused', jsonb_build_object(
            'session_id', p_session.id, 'rule', 'reschedule_window',
            'start_time', bookingdb.iso_utc(p_session.start_time), 'until', bookingdb.iso_utc(v_latest)
        ));
    end if;

    -- The audit log has every move, also a direct writer's, and who made it. No column of the session says so.
    if p_policy.maximum_reschedules < 1000 then
        select count(*)
        into v_moves
        from public.booking_audit_log as a
        where a.session_id = p_session.id
            and a.actor = p_session.user_id::text
            and a.changes ?| array['start_time', 'end_time'];
        if v_moves >= p_policy.maximum_reschedules then
            perform bookingdb.raise_error('reschedule_refused', jsonb_build_object(
                'session_id', p_session.id, 'rule', 'maximum_reschedules',
                'limit', p_policy.maximum_reschedules, 'count', v_moves
            ));
        end if;
    end if;
end;
$function$;

comment on function bookingdb.require_move_allowed(public.sessions, bookingdb.effective_policy) is
'Refuses a client who moves a session too late or too often for a policy. Caller holds: the lock of the session''s row, and knows that the client asks. Raises: reschedule_refused.';
