create or replace function bookingdb.person_erased()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A record of what was not done would open evidence to whoever plants one: writing it down is doing it, as a whole.
    perform bookingdb.lock_person_to_erase(array[new.person_id]);
    insert into bookingdb.outbox (event, subject_id, payload)
    values ('person.erased', new.person_id, jsonb_build_object('person_id', new.person_id, 'kept', new.kept));
    perform bookingdb.erase_words(array[new.person_id]);
    return null;
end;
$function$;

comment on function bookingdb.person_erased() is
'Trigger on bookingdb.erasures, per row: does what the row says, and writes the event.';
