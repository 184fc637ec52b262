create or replace function bookingdb.contact_of(p_person_id uuid, p_is_therapist boolean default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- What is on its way to somebody who was merged reaches who they are now.
    v_id constant uuid := coalesce(bookingdb.merged_into(p_person_id), p_person_id);
    v_person bookingdb.people;
    v_own bookingdb.contacts;
begin
    if p_person_id is null then
        return null;
    end if;
    -- An application may have a client and a therapist with the same id.
    select p.*
    into v_person
    from bookingdb.people as p
    where p.id = v_id
    order by (p.user_type = 'therapist') = p_is_therapist desc nulls last, p.email is not null desc
    limit 1;
    select c.*
    into v_own
    from bookingdb.contacts as c
    where c.person_id = v_id;

    return jsonb_build_object(
        'id', v_id,
        'name', nullif(v_person.full_name, ''),
        -- Addresses that merging and erasing leave in a column that needs one reach nobody.
        'email', coalesce(
            v_own.email, case when v_person.email !~ '@(merged|erased)\.invalid$' then nullif(v_person.email, '') end
        ),
        'phone', v_own.phone,
        'time_zone', coalesce(v_own.time_zone, bookingdb.time_zone_of(v_id)),
        'language', v_own.language,
        'quiet_from', v_own.quiet_from,
        'quiet_until', v_own.quiet_until,
        'consents', coalesce(v_own.consents, '{}')
    );
end;
$function$;

comment on function bookingdb.contact_of(uuid, boolean) is
'Returns how to reach a person, as events show it: what they said themselves, else what the application and the policy say.';
