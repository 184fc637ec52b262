create or replace function bookingdb.transitions()
returns bookingdb.transition[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The table of transitions: anything else is refused. docs/sessions.md draws it. A function without a new status
    -- leaves it as it is, or finds it by itself. One constant array: rows of VALUES, or of a function, would be made
    -- anew by each call, which was 2 % of a cancellation.
    return array[
        -- A status, what it may become, by which function, who calls it, how long before the start at the earliest, and
        -- whether only until the start.
        ('pending_approval', 'scheduled', 'approve_session', array['therapist', 'trusted'], null, true),
        ('pending_approval', null, 'reschedule_session', array['client', 'therapist', 'trusted'], null, true),
        ('pending_approval', 'cancelled', 'cancel_session', array['client'], null, true),
        ('pending_approval', 'cancelled', 'cancel_session', array['therapist', 'trusted'], null, false),
        ('scheduled', 'confirmed', 'confirm_session', array['therapist', 'trusted'], null, false),
        ('scheduled', 'in_progress', 'start_session', array['therapist', 'trusted'], '1 hour', false),
        ('scheduled', 'completed', 'complete_session', array['therapist', 'trusted'], '0', false),
        ('scheduled', 'no_show', 'mark_no_show', array['therapist', 'trusted'], '0', false),
        ('scheduled', null, 'reschedule_session', array['client', 'therapist', 'trusted'], null, true),
        ('scheduled', 'cancelled', 'cancel_session', array['client'], null, true),
        ('scheduled', 'cancelled', 'cancel_session', array['therapist', 'trusted'], null, false),
        ('confirmed', 'in_progress', 'start_session', array['therapist', 'trusted'], '1 hour', false),
        ('confirmed', 'completed', 'complete_session', array['therapist', 'trusted'], '0', false),
        ('confirmed', 'no_show', 'mark_no_show', array['therapist', 'trusted'], '0', false),
        ('confirmed', null, 'reschedule_session', array['client', 'therapist', 'trusted'], null, true),
        ('confirmed', 'cancelled', 'cancel_session', array['client'], null, true),
        ('confirmed', 'cancelled', 'cancel_session', array['therapist', 'trusted'], null, false),
        ('in_progress', 'completed', 'complete_session', array['therapist', 'trusted'], '0', false),
        ('in_progress', 'no_show', 'mark_no_show', array['therapist', 'trusted'], '0', false),
        ('in_progress', 'cancelled', 'cancel_session', array['therapist', 'trusted'], null, false),
        ('completed', null, 'reopen_session', array['therapist', 'trusted'], null, false),
        ('no_show', null, 'reopen_session', array['therapist', 'trusted'], null, false),
        ('cancelled', null, 'reopen_session', array['trusted'], null, false),
        ('pending_approval', null, 'transfer_session', array['trusted'], null, true),
        ('scheduled', null, 'transfer_session', array['trusted'], null, true),
        ('confirmed', null, 'transfer_session', array['trusted'], null, true),
        ('completed', null, 'refund_session', array['trusted'], null, false),
        ('no_show', null, 'refund_session', array['trusted'], null, false),
        ('cancelled', null, 'refund_session', array['trusted'], null, false)
    ]::bookingdb.transition[];
end;
$function$;

comment on function bookingdb.transitions() is
'Returns the table of transitions: what a session of a status may become, by which function, whose part it is, and when.';
