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
    -- A therapist who is a client as well stays one: they are closed by no longer being verified.
    v_is_client constant boolean := p_is_therapist and exists (
        select from bookingdb.therapist_clients as t
        where t.therapist_id = p_user_id
    );
begin
    -- The row is locked before the person, whose lock its trigger takes: the order of every direct UPDATE. A therapist
    -- is open only when verified as well.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        update public.users as u
        set is_active = p_is_active or (u.is_active and p_is_therapist and v_is_client),
            is_verified = case
                when p_is_therapist and v_is_client then p_is_active
                else u.is_verified or (p_is_therapist and p_is_active)
            end,
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
