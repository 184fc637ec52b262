create or replace function bookingdb.tell_of_availability(p_therapist_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.write_availability_event(p_therapist_id);
end;
$function$;

comment on function bookingdb.tell_of_availability(uuid) is
'The name of write_availability_event() in the version before, for calls that began before the upgrade. The next version drops it.';
