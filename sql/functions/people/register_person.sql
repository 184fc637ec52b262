create or replace function bookingdb.register_person(
    p_email text,
    p_full_name text,
    p_user_id uuid,
    p_user_type text,
    p_may_change boolean
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_email constant text := btrim(p_email);
    v_person public.users;
    v_lock_timeout text;
    v_column text;
begin
    perform bookingdb.require_address('p_email', v_email);
    perform bookingdb.require_length('p_full_name', p_full_name, 0, 255);

    -- This waits for no booking, only for somebody who registers the same person at this moment.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        insert into public.users as u (id, email, full_name, user_type, is_active, is_verified)
        values (coalesce(p_user_id, gen_random_uuid()), v_email, p_full_name, p_user_type, true, true)
        on conflict do nothing
        returning u.id into v_person.id;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
        when not_null_violation then
            -- An adopted table has columns of its own. They are asked before the conflict: the person may exist.
            get stacked diagnostics v_column = column_name;
    end;
    if v_person.id is not null then
        return v_person.id;
    end if;

    -- Somebody has this id or this e-mail address already. The id, where one is given, decides who is meant.
    select u.*
    into v_person
    from public.users as u
    where u.id = p_user_id or lower(u.email) = lower(v_email)
    order by u.id = p_user_id desc
    limit 1;
    if v_person.id is null and v_column is not null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', v_column, 'reason', 'missing', 'table', 'users'
        ));
    end if;
    if v_person.id is null then
        -- The person was deleted since the INSERT.
        perform bookingdb.raise_error('busy');
    end if;
    if v_person.id = p_user_id and (v_person.user_type = 'therapist') <> (p_user_type = 'therapist') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_user_id', 'reason', 'of_another_kind'
        ));
    end if;
    if v_person.id <> p_user_id or (v_person.user_type = 'therapist') <> (p_user_type = 'therapist') then
        perform bookingdb.raise_address_taken(v_person.id);
    end if;

    -- A closed person stays closed, and the caller is told. A client can book without being verified.
    if v_person.is_active is not true or (p_user_type = 'therapist' and v_person.is_verified is not true) then
        perform bookingdb.raise_error('person_inactive', jsonb_build_object('user_id', v_person.id));
    end if;

    if v_person.is_verified and lower(v_person.email) = lower(v_email)
        and v_person.full_name is not distinct from coalesce(p_full_name, v_person.full_name) then
        return v_person.id;
    end if;
    if not p_may_change then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('user_id', v_person.id));
    end if;

    -- The row is locked before the person, whose lock its trigger takes: the order of every direct UPDATE.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        update public.users as u
        set email = v_email,
            full_name = coalesce(p_full_name, u.full_name),
            is_verified = true,
            updated_at = now()
        where u.id = v_person.id;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when unique_violation then
            perform bookingdb.raise_address_taken((
                select u.id from public.users as u where lower(u.email) = lower(v_email) and u.id <> v_person.id
            ));
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    return v_person.id;
end;
$function$;

comment on function bookingdb.register_person(text, text, uuid, text, boolean) is
'Finds or makes the active, verified person with this e-mail address, and id where given. p_may_change lets it rename an existing one. Raises: invalid_parameter, busy, person_inactive, not_allowed.';
