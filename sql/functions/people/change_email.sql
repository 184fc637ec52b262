-- Public.
create or replace function bookingdb.change_email(p_user_id uuid, p_email text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_email constant text := btrim(p_email);
    v_table text;
    v_old_email text;
    v_owner_id uuid;
    v_found integer;
    v_lock_timeout text;
begin
    perform bookingdb.authorise(p_user_id);
    -- Logged-in users have the address that their token proves.
    if not bookingdb.caller_is_trusted()
        and (v_email is null or lower(v_email) is distinct from lower(bookingdb.actor_email())) then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_email'));
    end if;
    if v_email is not null then
        perform bookingdb.require_address('p_email', v_email);
    end if;
    if not exists (select from bookingdb.people as p where p.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
    if not bookingdb.keeps_people('users') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_email', 'reason', 'kept_elsewhere'
        ));
    end if;

    v_lock_timeout := bookingdb.limit_wait();
    begin
        perform bookingdb.lock_person_rows(array[p_user_id]);
        perform bookingdb.refuse_merged_person(p_user_id);
        foreach v_table in array array['users', 'therapists'] loop
            continue when not bookingdb.keeps_people(v_table);
            execute format('select p.email::text from public.%I as p where p.id = $1', v_table)
            into v_old_email
            using p_user_id;
            get diagnostics v_found = row_count;
            continue when v_found = 0 or v_old_email is not distinct from v_email;

            v_owner_id := bookingdb.other_owner_of_address(p_user_id, v_email);
            if v_owner_id is not null then
                perform bookingdb.raise_address_taken(v_owner_id);
            end if;
            execute format('update public.%I as p set email = $1 where p.id = $2', v_table)
            using v_email, p_user_id;
            get diagnostics v_found = row_count;
            if v_found = 0 then
                perform bookingdb.raise_write_swallowed();
            end if;
            -- The row comes before the person, whom its trigger locks: a session that is written refers to the row, and
            -- then waits for the person.
            if v_table = 'users' and bookingdb.keeps_people('therapist_enrollments') then
                perform bookingdb.change_enrollment(p_user_id, v_old_email, v_email);
            end if;
        end loop;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when unique_violation then
            -- Somebody took it at this moment.
            perform bookingdb.raise_address_taken(null);
        when not_null_violation then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_email', 'reason', 'missing'
            ));
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
end;
$function$;

comment on function bookingdb.change_email(uuid, text) is
'Gives a person another e-mail address, or none (NULL), which frees it for somebody else. The enrollment of a therapist who needs one follows. For trusted callers, and for a logged-in user themselves to the address of their token. Raises: not_allowed, user_not_found, invalid_parameter, busy.';
