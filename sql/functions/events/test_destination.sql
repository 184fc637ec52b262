-- Public.
create or replace function bookingdb.test_destination(p_name text)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_destination bookingdb.destinations;
    v_id constant uuid := gen_random_uuid();
begin
    perform bookingdb.authorise_trusted();
    v_destination := bookingdb.find_destination(p_name);
    insert into bookingdb.deliveries (id, destination_id, type, subject_id, data, is_next)
    values (
        v_id, v_destination.id, 'bookingdb.test', v_id, jsonb_build_object('destination', v_destination.name), true
    );
    return v_id;
end;
$function$;

comment on function bookingdb.test_destination(text) is
'Makes a delivery of the type bookingdb.test for this destination and returns its id; a worker sends it as any other. For trusted callers.';
