create or replace function bookingdb.calendar_changed()
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
    perform bookingdb.move_mirrors(old, new);
    return null;
end;
$function$;

comment on function bookingdb.calendar_changed() is
'Trigger on the calendar, per row with mirrors: they follow the row that they are of, whoever writes.';
