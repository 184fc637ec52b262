create or replace function bookingdb.open_hold(p_hold_id uuid)
returns bookingdb.holds
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.lock_hold(p_hold_id);
end;
$function$;

comment on function bookingdb.open_hold(uuid) is
'The name of lock_hold() in the version before, for calls that began before the upgrade. The next version drops it.';
