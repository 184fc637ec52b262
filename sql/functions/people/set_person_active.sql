create or replace function bookingdb.set_person_active(p_user_id uuid, p_is_therapist boolean, p_is_active boolean)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
    v_is_found boolean;
begin
    -- The row is locked before the person, whose lock its trigger takes: the order of every direct UPDATE. A therapist
    -- is open only when verified as well.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        update public.users as u
        set is_active = p_is_active,
            is_verified = u.is_verified or (p_is_therapist and p_is_active),
            updated_at = now()
        where u.id = p_user_id and (u.user_type is not distinct from 'therapist') = p_is_therapist;
        v_is_found := found;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    return v_is_found;
end;
$function$;

comment on function bookingdb.set_person_active(uuid, boolean, boolean) is
'Opens or closes a therapist, or a client, who is a row of public.users; false when there is none. Raises: busy.';
