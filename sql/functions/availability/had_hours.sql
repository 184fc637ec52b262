create or replace function bookingdb.had_hours(p_therapist_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (select from bookingdb.therapists_with_hours as w where w.therapist_id = p_therapist_id);
end;
$function$;

comment on function bookingdb.had_hours(uuid) is
'Says whether a therapist has weekly hours or had some: then they are not there at any time.';
