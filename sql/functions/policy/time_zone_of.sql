create or replace function bookingdb.time_zone_of(p_therapist_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(
        (
            select r.time_zone
            from bookingdb.rules as r
            where r.therapist_id = any (array[p_therapist_id, '00000000-0000-0000-0000-000000000000'])
            order by r.therapist_id desc
            limit 1
        ),
        -- A snapshot from before an upgrade shows no rules.
        (bookingdb.computed_policy(p_therapist_id)).time_zone
    );
end;
$function$;

comment on function bookingdb.time_zone_of(uuid) is
'Returns the time zone of policy_of() alone: a therapist''s own, else (NULL, too) the default''s.';
