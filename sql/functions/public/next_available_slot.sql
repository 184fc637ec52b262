create or replace function public.next_available_slot(
    p_therapist_id uuid,
    p_duration_minutes integer default 60,
    p_after timestamptz default null,
    p_time_zone text default null,
    p_step_minutes integer default null
)
returns table (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.start_time, r.end_time, r.local_date, r.local_time
    from bookingdb.next_available_slot(p_therapist_id, p_duration_minutes, p_after, p_time_zone, p_step_minutes) as r;
end;
$function$;

comment on function public.next_available_slot(uuid, integer, timestamptz, text, integer) is
'The first time at or after p_after (null: now) at which a session of p_duration_minutes can be booked with a therapist; no row when there is none as far ahead as can be booked. Like list_available_slots() otherwise. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
