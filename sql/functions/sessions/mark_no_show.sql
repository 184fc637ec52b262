-- Public.
create or replace function bookingdb.mark_no_show(p_session_id uuid, p_idempotency_key text default null)
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
    return bookingdb.change_status(p_session_id, 'no_show', 'mark_no_show', p_idempotency_key);
end;
$function$;

comment on function bookingdb.mark_no_show(uuid, text) is
'Records that the client did not come; the credit is kept. Not before the start. For the therapist and trusted callers.';
