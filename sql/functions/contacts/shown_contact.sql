create or replace function bookingdb.shown_contact(p_person_id uuid)
returns bookingdb.contact
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_contact bookingdb.contact := jsonb_populate_record(
        null::bookingdb.contact, bookingdb.contact_of(p_person_id)
    );
begin
    v_contact.user_id := p_person_id;
    return v_contact;
end;
$function$;

comment on function bookingdb.shown_contact(uuid) is
'Returns what contact_of() says of a person, as a row.';
