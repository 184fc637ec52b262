create or replace function bookingdb.contact_of(p_person_id uuid, p_is_therapist boolean)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        select jsonb_build_object(
            'id', p.id,
            'name', p.full_name,
            'email', coalesce(c.email, p.email),
            'phone', c.phone,
            'time_zone', c.time_zone,
            'language', c.language,
            'quiet_from', c.quiet_from,
            'quiet_until', c.quiet_until,
            'consents', coalesce(c.consents, '{}')
        )
        from bookingdb.people as p
        left join bookingdb.contacts as c on c.person_id = p.id
        where p.id = p_person_id
        order by (p.user_type = 'therapist') = p_is_therapist desc
        limit 1
    );
end;
$function$;

comment on function bookingdb.contact_of(uuid, boolean) is
'Returns how a client or therapist is reached, as JSON; NULL for nobody.';
