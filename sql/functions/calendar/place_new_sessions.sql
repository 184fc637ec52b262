create or replace function bookingdb.place_new_sessions()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_ids uuid[];
begin
    -- A transition table would cost each booking 2 %. Of sessions_to_place every transaction sees its own rows alone.
    if exists (
        select from bookingdb.sessions_to_place as p
        where p.transaction_id = pg_current_xact_id() and p.trigger_depth = pg_trigger_depth()
    ) then
        with taken as (
            delete from bookingdb.sessions_to_place as p
            where p.transaction_id = pg_current_xact_id() and p.trigger_depth = pg_trigger_depth()
            returning p.session_id
        )

        select array_agg(t.session_id)
        into v_ids
        from taken as t;
        if current_setting('transaction_isolation') <> 'read committed' then
            perform bookingdb.require_current_rows(v_ids);
        end if;
        perform bookingdb.require_direct_sessions(v_ids);
        perform bookingdb.sync_calendar(v_ids, true);
    end if;
    return null;
end;
$function$;

comment on function bookingdb.place_new_sessions() is
'Trigger on public.sessions, per INSERT: gives all sessions that the statement wrote directly their rows in the calendar.';
