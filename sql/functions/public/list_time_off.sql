create or replace function public.list_time_off(p_therapist_id uuid, p_from timestamptz, p_to timestamptz)
returns table (
    id uuid,
    start_time timestamptz,
    end_time timestamptz,
    reason text,
    session_ids uuid[]
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.id, r.start_time, r.end_time, r.reason, r.session_ids
    from bookingdb.list_time_off(p_therapist_id, p_from, p_to) as r;
end;
$function$;

comment on function public.list_time_off(uuid, timestamptz, timestamptz) is
'A therapist''s time off that reaches into the time from p_from to p_to, in order, each with the ids of the sessions that are booked in it all the same. For the therapist itself and for trusted callers. Errors: docs/errors.md.';
