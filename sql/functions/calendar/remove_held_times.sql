create or replace function bookingdb.remove_held_times(p_hold_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.lock_held_times(p_hold_ids);
    delete from bookingdb.calendar as c
    where c.id = any (p_hold_ids) and c.kind = 'hold';
end;
$function$;

comment on function bookingdb.remove_held_times(uuid[]) is
'Removes the calendar rows of these holds, and locks them first, in order. Caller holds: the locks of a person of each.';
