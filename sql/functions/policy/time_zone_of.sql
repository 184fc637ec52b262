create or replace function bookingdb.time_zone_of(p_therapist_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- policy_of() would cost a hold 7 % of its instructions more.
    return coalesce(
        (select o.time_zone from bookingdb.policies as o where o.therapist_id = p_therapist_id),
        (select d.time_zone from bookingdb.policies as d where d.therapist_id is null)
    );
end;
$function$;

comment on function bookingdb.time_zone_of(uuid) is
'Returns the time zone of policy_of() alone: a therapist''s own, else (NULL, too) the default''s.';
