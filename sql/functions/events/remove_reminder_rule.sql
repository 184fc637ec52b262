-- Public.
create or replace function bookingdb.remove_reminder_rule(p_name text)
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
    delete from bookingdb.reminder_rules as r
    where r.name = p_name;
    return found;
end;
$function$;

comment on function bookingdb.remove_reminder_rule(text) is
'Removes a rule of reminders: none of its reminders is sent any more. Returns whether there was one. For trusted callers.';
