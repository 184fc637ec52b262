-- Public.
create or replace function bookingdb.list_reminder_rules()
returns setof bookingdb.reminder_rule
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
    select r.name, r.before, r.audience, r.channel, r.heeds_quiet_hours
    from bookingdb.reminder_rules as r
    order by r.before desc, r.name;
end;
$function$;

comment on function bookingdb.list_reminder_rules() is
'Lists the rules of reminders, the earliest reminder first. For trusted callers.';
