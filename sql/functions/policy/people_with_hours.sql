create or replace function bookingdb.people_with_hours(p_people uuid[])
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_people is null then
        return array(
            select h.therapist_id from bookingdb.therapists_with_hours as h
            union
            select v.therapist_id from bookingdb.date_overrides as v
        );
    end if;
    return array(
        select h.therapist_id from bookingdb.therapists_with_hours as h where h.therapist_id = any (p_people)
        union
        select v.therapist_id from bookingdb.date_overrides as v where v.therapist_id = any (p_people)
    );
end;
$function$;

comment on function bookingdb.people_with_hours(uuid[]) is
'Returns those of these people (NULL: of all) who have weekly hours or had some, or have date overrides.';
