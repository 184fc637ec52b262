-- Public.
create or replace function bookingdb.set_therapist_active(p_therapist_id uuid, p_active boolean)
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
    v_lock_timeout text;
    v_is_found boolean;
begin
    perform bookingdb.authorise_trusted();

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_active is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_active'));
    end if;

    -- The row is locked before the person, whose lock its trigger takes: the order of every direct UPDATE.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        update public.users as u
        set is_active = p_active,
            updated_at = now()
        where u.id = p_therapist_id and u.user_type = 'therapist';
        v_is_found := found;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if not v_is_found then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.set_therapist_active(uuid, boolean) is
'Opens (true) or closes (false) a therapist for booking. Booked sessions stay. For trusted callers. Raises: invalid_therapist_id, invalid_parameter, busy, therapist_not_found.';
