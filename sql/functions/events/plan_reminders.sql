create or replace function bookingdb.plan_reminders(p_session_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return;
end;
$function$;

comment on function bookingdb.plan_reminders(uuid) is
'Plans the reminders of a session. Caller holds: relay_lock().';
