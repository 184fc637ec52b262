-- Public.
create or replace function bookingdb.remove_destination(p_name text)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_length('p_name', p_name, 1, 63);
    perform pg_advisory_xact_lock(bookingdb.relay_lock());
    -- By the index that has this condition; the foreign key would read the whole table.
    delete from bookingdb.deliveries as d
    where d.destination_id = (select n.id from bookingdb.destinations as n where n.name = p_name)
        and d.created_at is not null;
    delete from bookingdb.destinations as d where d.name = p_name;
    return found;
end;
$function$;

comment on function bookingdb.remove_destination(text) is
'Removes a destination with its deliveries, also those that are not sent. Returns false where there was none. For trusted callers.';
