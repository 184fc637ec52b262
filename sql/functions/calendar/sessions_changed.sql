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
    -- The transition tables only name the sessions, because an application's own triggers may have changed them since.
    if tg_op = 'UPDATE' then
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n union select o.id from old_rows as o));
    else
        perform bookingdb.sync_calendar(array(select o.id from old_rows as o));
    end if;
    return null;
end;
$function$;

comment on function bookingdb.sessions_changed() is
'Trigger on public.sessions, per UPDATE and DELETE: brings the calendar into step with all sessions that the statement wrote.';
