create or replace function bookingdb.sessions_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The transition tables name the sessions only: an application's own triggers may have changed them since.
    if tg_op = 'INSERT' then
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n));
    elsif tg_op = 'UPDATE' then
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n union select o.id from old_rows as o));
    else
        perform bookingdb.sync_calendar(array(select o.id from old_rows as o));
    end if;
    return null;
end;
$function$;

comment on function bookingdb.sessions_changed() is
'Trigger on public.sessions, once a statement: brings the calendar into step with all sessions that the statement wrote. Raises booking_conflict, client_conflict, busy.';
