-- Public.
create or replace function bookingdb.list_available_days(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
    p_time_zone text default null,
    p_step_minutes integer default null,
    p_exclude_session_id uuid default null,
    p_user_id uuid default null
)
returns setof bookingdb.available_day
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    return query
    select s.local_date, count(*)::integer, min(s.start_time), max(s.start_time)
    from bookingdb.list_available_slots(
        p_therapist_id, p_from, p_to, p_duration_minutes, p_time_zone, p_step_minutes, p_exclude_session_id, p_user_id
    ) as s
    group by s.local_date
    order by s.local_date;
end;
$function$;

comment on function bookingdb.list_available_days(uuid, date, date, integer, text, integer, uuid, uuid) is
'Lists the dates from p_from to p_to on which a therapist has a free slot, with the number of slots, the first and the last start: the slots of list_available_slots(), one row per day. For every logged-in user and for trusted callers.';
