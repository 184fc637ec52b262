create or replace function bookingdb.tell_of_hold(p_event text, p_hold_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.write_hold_event(p_event, p_hold_id);
end;
$function$;

comment on function bookingdb.tell_of_hold(text, uuid) is
'The name of write_hold_event() in the version before, for calls that began before the upgrade. The next version drops it.';
