create or replace function bookingdb.typed_events(p_event bookingdb.outbox)
returns setof bookingdb.typed_event
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return next row(0, p_event.event, p_event.subject_id, p_event.payload)::bookingdb.typed_event;
end;
$function$;

comment on function bookingdb.typed_events(bookingdb.outbox) is
'Returns what a row of the outbox tells: part 0 is its own event, by the name that says what happened; others follow from it.';
