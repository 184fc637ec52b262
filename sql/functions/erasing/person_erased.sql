create or replace function bookingdb.person_erased()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    values ('person.erased', new.person_id, jsonb_build_object('person_id', new.person_id, 'kept', new.kept));
    -- Nobody is erased in part: all ids of the person are, if this transaction has not done so.
    insert into bookingdb.erasures (person_id, kept, actor)
    select i.id, new.kept, new.actor
    from unnest(bookingdb.ids_of_person(new.person_id)) as i (id)
    where not exists (
        select from bookingdb.erasures as e
        where e.person_id = i.id
            and e.kept <@ new.kept
            and (e.created_at >= now() or not bookingdb.has_data_since(i.id, e.created_at))
    );
    perform bookingdb.erase_words(array[new.person_id], new.kept, true);
    return null;
end;
$function$;

comment on function bookingdb.person_erased() is
'Trigger on bookingdb.erasures, per row: writes the event, erases the person''s other ids, and takes the words from evidence.';
