create or replace function public.add_time_off(
    p_therapist_id uuid,
    p_start timestamptz,
    p_end timestamptz,
    p_reason text default null
)
returns table (
    id uuid,
    start_time timestamptz,
    end_time timestamptz,
    reason text,
    session_ids uuid[]
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.id, r.start_time, r.end_time, r.reason, r.session_ids
    from bookingdb.add_time_off(p_therapist_id, p_start, p_end, p_reason) as r;
end;
$function$;

comment on function public.add_time_off(uuid, timestamptz, timestamptz, text) is
'Adds time off of a therapist: nothing can be booked from p_start to p_end any more. Returns it with the ids of the sessions that were booked in it before; they stay, and are to be moved or cancelled. For the therapist itself and for trusted callers. Errors: docs/errors.md.';
