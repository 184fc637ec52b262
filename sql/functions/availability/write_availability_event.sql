create or replace function bookingdb.write_availability_event(p_therapist_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    values ('availability.changed', p_therapist_id, jsonb_build_object('therapist_id', p_therapist_id));
end;
$function$;

comment on function bookingdb.write_availability_event(uuid) is
'Writes the event that a therapist''s hours, overrides, time off or external appointments changed.';
