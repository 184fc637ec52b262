create or replace function bookingdb.sessions_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.sync_calendar(array(select o.id from old_rows as o));
    return null;
end;
$function$;

comment on function bookingdb.sessions_changed() is
'Trigger on public.sessions, per DELETE: takes all sessions that the statement deleted out of the calendar.';
