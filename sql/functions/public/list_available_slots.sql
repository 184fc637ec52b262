create or replace function public.list_available_slots(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
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
    from bookingdb.list_available_slots(
        p_therapist_id, p_from, p_to, p_duration_minutes, p_time_zone, p_step_minutes
    ) as r;
end;
$function$;

comment on function public.list_available_slots(uuid, date, date, integer, text, integer) is
'The times at which a session of p_duration_minutes can be booked with a therapist now, from p_from to p_to (both included, at most 366 days), every p_step_minutes (else the policy''s) of the therapist''s clock, in order; dates and times are those of p_time_zone, else of the therapist''s zone. Of an hour that occurs twice both are listed. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
