create or replace function bookingdb.sessions_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    -- The transition tables only name the sessions, because an application's own triggers may have changed them since.
    if tg_op = 'INSERT' then
        if current_setting('transaction_isolation') <> 'read committed' then
            perform bookingdb.require_current_rows(array(select n.id from new_rows as n));
        end if;
        -- A function of bookingdb wrote the calendar first: nothing is left to do.
        if not exists (
            select from new_rows as n
            where n.status is distinct from 'scheduled'
                or (
                    -- A look-up by id, whatever the statistics say.
                    select
                        c.kind = 'session'
                        and c.therapist_id = n.therapist_id
                        and c.client_id = n.user_id
                        and lower(c.period) = n.start_time
                        and upper(c.period) = n.end_time
                    from bookingdb.calendar as c
                    where c.id = n.id
                ) is not true
        ) then
            return null;
        end if;
        perform bookingdb.require_direct_sessions(array(select n.id from new_rows as n));
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n), true);
    elsif tg_op = 'UPDATE' then
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n union select o.id from old_rows as o));
    else
        perform bookingdb.sync_calendar(array(select o.id from old_rows as o));
    end if;
    return null;
end;
$function$;

comment on function bookingdb.sessions_changed() is
'Trigger on public.sessions, per statement: brings the calendar into step with all sessions that the statement wrote.';
