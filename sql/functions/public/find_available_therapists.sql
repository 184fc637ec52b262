create or replace function public.find_available_therapists(
    p_from timestamptz,
    p_to timestamptz,
    p_duration_minutes integer default 60,
    p_therapist_ids uuid[] default null,
    p_limit integer default 20
)
returns table (
    therapist_id uuid,
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
    select r.therapist_id, r.start_time, r.end_time
    from bookingdb.find_available_therapists(p_from, p_to, p_duration_minutes, p_therapist_ids, p_limit) as r;
end;
$function$;

comment on function public.find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer) is
'Who can be booked for p_duration_minutes from p_from to p_to (at most 366 days; the whole session lies between the two), each therapist with its first slot, the earliest free first, p_limit (1 to 1000) of them at most. p_therapist_ids: only of these; null: of all. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
