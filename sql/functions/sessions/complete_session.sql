-- Public.
create or replace function bookingdb.complete_session(p_session_id uuid, p_idempotency_key text default null)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    return bookingdb.change_status(p_session_id, 'completed', 'complete_session', p_idempotency_key);
end;
$function$;

comment on function bookingdb.complete_session(uuid, text) is
'Records that a session took place; not before its start. For the therapist and trusted callers.';
