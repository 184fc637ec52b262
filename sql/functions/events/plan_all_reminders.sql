create or replace function bookingdb.plan_all_reminders(p_rule text default null)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    if not exists (
        select
        from bookingdb.reminder_rules as r
        inner join bookingdb.destinations as d on bookingdb.reminds_by(d, r.channel)
        where p_rule is null or r.name = p_rule
    ) then
        return 0;
    end if;
    return bookingdb.plan_sessions(
        array(
            select s.id
            from public.sessions as s
            where s.start_time > clock_timestamp() and s.status in ('scheduled', 'confirmed')
            order by s.start_time
        ),
        clock_timestamp(),
        p_rule
    );
end;
$function$;

comment on function bookingdb.plan_all_reminders(text) is
'Plans the reminders of all sessions to come, by one rule or all, after a rule or a destination changed. Returns how many were made or moved. Caller holds: relay_lock().';
