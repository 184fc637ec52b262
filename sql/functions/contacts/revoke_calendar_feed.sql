-- Public.
create or replace function bookingdb.revoke_calendar_feed(p_user_id uuid)
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
    perform bookingdb.authorise(p_user_id);
    delete from bookingdb.calendar_feeds as f
    where f.person_id = p_user_id;
    return found;
end;
$function$;

comment on function bookingdb.revoke_calendar_feed(uuid) is
'Revokes the secret address of a person''s calendar, and returns whether there was one. For the person themselves and for trusted callers.';
