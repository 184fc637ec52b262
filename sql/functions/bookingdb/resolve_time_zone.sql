create or replace function bookingdb.resolve_time_zone(p_time_zone text, p_therapist_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_time_zone is null then
        return coalesce(
            (select p.time_zone from bookingdb.policies as p where p.therapist_id = p_therapist_id),
            (select p.time_zone from bookingdb.policies as p where p.therapist_id is null)
        );
    end if;

    if not exists (select from bookingdb.time_zones as z where z.name = p_time_zone) then
        perform bookingdb.raise_error('invalid_time_zone');
    end if;
    return p_time_zone;
end;
$function$;

comment on function bookingdb.resolve_time_zone(text, uuid) is
'The zone in which a local time is meant: the one asked for, else the therapist''s, else the default policy''s; never the connection''s. Raises invalid_time_zone.';
