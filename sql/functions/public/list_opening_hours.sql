create or replace function public.list_opening_hours(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_time_zone text default null
)
returns table (
    start_time timestamptz,
    end_time timestamptz
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.start_time, r.end_time
    from bookingdb.list_opening_hours(p_therapist_id, p_from, p_to, p_time_zone) as r;
end;
$function$;

comment on function public.list_opening_hours(uuid, date, date, text) is
'When a therapist is there from p_from to p_to (both included, at most 366 days; dates of p_time_zone, else of the therapist''s zone): weekly hours and what overrides them, as periods of instants in order, free or not. Who has no weekly hours and need have none is there all the time. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
