-- Public.
create or replace function bookingdb.start_session(p_session_id uuid, p_idempotency_key text default null)
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
    return bookingdb.change_status(p_session_id, 'in_progress', 'start_session', p_idempotency_key);
end;
$function$;

comment on function bookingdb.start_session(uuid, text) is
'Records that a scheduled or confirmed session has begun. For the therapist and trusted callers.';
