-- Public.
create or replace function bookingdb.list_destinations()
returns setof bookingdb.listed_destination
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_trusted();
    return query
    select (bookingdb.describe_destination(d)).*
    from bookingdb.destinations as d
    order by d.name;
end;
$function$;

comment on function bookingdb.list_destinations() is
'Lists the destinations by name, with the names of their secrets. For trusted callers.';
