create or replace function bookingdb.require_mergeable(p_from_id uuid, p_into_id uuid, p_kind text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_names constant text[] := case p_kind
        when 'login' then array['p_user_id', 'p_new_user_id'] else array['p_from_user_id', 'p_into_user_id']
    end;
    v_ids constant uuid[] := array[p_from_id, p_into_id];
    v_merged_into uuid;
begin
    for v_place in 1..2 loop
        if not exists (select from bookingdb.people as p where p.id = v_ids[v_place]) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', v_ids[v_place]));
        end if;
        -- A therapist who is a client as well may have registered a second time, as a client.
        if exists (
            select from bookingdb.people as p where p.id = v_ids[v_place] and p.user_type = 'therapist'
        ) and not (v_place = 2 and p_kind = 'merge' and bookingdb.has_client_part(p_into_id)) then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', v_names[v_place], 'reason', 'of_another_kind', 'user_id', v_ids[v_place]
            ));
        end if;
        select m.into_user_id
        into v_merged_into
        from bookingdb.merged_people as m
        where m.from_user_id = v_ids[v_place];
        -- Once more into the same person is harmless: what was written since passes on, too.
        if v_merged_into is not null and (v_place = 2 or v_merged_into <> p_into_id) then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', v_names[v_place], 'reason', 'merged', 'user_id', v_merged_into
            ));
        end if;
    end loop;

    if not bookingdb.is_client(p_into_id)
        and exists (select from bookingdb.people as p where p.id = p_from_id and p.is_active) then
        perform bookingdb.raise_error('person_inactive', jsonb_build_object('user_id', p_into_id));
    end if;
    if not bookingdb.keeps_people('users') and not bookingdb.keeps_people('profiles') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', v_names[1], 'reason', 'kept_elsewhere'
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_mergeable(uuid, uuid, text) is
'Refuses therapists (not into one who is a client), people merged before, and an active client into one who is not. Caller holds: the locks. Raises: user_not_found, invalid_parameter, person_inactive.';
