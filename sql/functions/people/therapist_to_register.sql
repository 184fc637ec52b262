create or replace function bookingdb.therapist_to_register(p_email text, p_person_id uuid)
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_therapist bookingdb.people;
begin
    -- The id, where one is given, decides who is meant.
    if p_person_id is not null then
        select p.*
        into v_therapist
        from bookingdb.people as p
        where p.id = p_person_id and p.user_type = 'therapist';
    else
        select p.*
        into v_therapist
        from bookingdb.people as p
        where lower(p.email) = lower(btrim(p_email)) and p.user_type = 'therapist'
        order by p.is_active desc, p.id
        limit 1;
    end if;
    if v_therapist.id is not null and lower(v_therapist.email) is distinct from lower(btrim(p_email)) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_user_id', 'reason', 'of_another_kind'
        ));
    end if;
    return v_therapist.id;
end;
$function$;

comment on function bookingdb.therapist_to_register(text, uuid) is
'Returns the therapist whom an id, or an e-mail address without one, means; NULL where that is nobody or no therapist. Raises: invalid_parameter.';
