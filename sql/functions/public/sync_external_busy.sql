create or replace function public.sync_external_busy(
    p_therapist_id uuid,
    p_source text,
    p_events jsonb,
    p_from timestamptz default null,
    p_to timestamptz default null
)
returns table (
    inserted integer,
    updated integer,
    removed integer,
    session_ids uuid[]
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.inserted, r.updated, r.removed, r.session_ids
    from bookingdb.sync_external_busy(p_therapist_id, p_source, p_events, p_from, p_to) as r;
end;
$function$;

comment on function public.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz) is
'Brings the appointments that a therapist has in another calendar (p_source, a name of yours) up to date: nothing can be booked over them. p_events: an array of up to 5000 objects such as {"external_id": "a1", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00Z"}, or {"external_id": "a1", "removed": true}. With p_from and p_to, appointments of the source in that time which are not in p_events go. Returns how many rows were inserted, updated and removed, and the ids of sessions that the appointments overlap. For the therapist itself and for trusted callers. Errors: docs/errors.md.';
