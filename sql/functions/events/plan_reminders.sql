create or replace function bookingdb.plan_reminders(p_session_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.plan_sessions(
        array[p_session_id],
        coalesce(
            (
                -- Since when it stands as it does. The relay may be late; a reminder that was to come then is sent.
                select max(a.created_at)
                from public.booking_audit_log as a
                where a.session_id = p_session_id
                    and (
                        a.action = 'created'
                        or a.changes ?| array['start_time', 'therapist_id', 'user_id']
                        or (
                            a.new_status in ('scheduled', 'confirmed')
                            and a.old_status not in ('scheduled', 'confirmed')
                        )
                    )
            ),
            clock_timestamp()
        )
    );
end;
$function$;

comment on function bookingdb.plan_reminders(uuid) is
'Plans the reminders of a session that was booked or changed. One whose moment was past by then is none. Caller holds: relay_lock().';
