create or replace function bookingdb.authorise_slots(
    p_exclude_session_id uuid,
    p_user_id uuid,
    p_therapist_id uuid default null
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_user_id is not null then
        perform bookingdb.authorise(p_user_id);
        if not bookingdb.is_client(p_user_id) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
        end if;
        -- Nobody is their own client, and so nothing is free for them with themselves.
        if p_user_id = p_therapist_id
            and exists (select from bookingdb.people as p where p.id = p_user_id and p.user_type = 'therapist') then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_therapist_id', 'reason', 'same_person'
            ));
        end if;
    end if;
    if p_exclude_session_id is not null then
        -- The answer tells when the session is.
        perform bookingdb.find_session(p_exclude_session_id);
    end if;
end;
$function$;

comment on function bookingdb.authorise_slots(uuid, uuid, uuid) is
'Lets callers list what is free without a session in which they have a part, and for a client for whom they may act. Raises: user_not_found, invalid_parameter.';
