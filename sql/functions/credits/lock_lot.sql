create or replace function bookingdb.lock_lot(p_lot_id uuid)
returns public.user_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_user_id uuid;
    v_lot public.user_credits;
    v_lock_timeout text;
begin
    -- The lot may pass on to another client, whose lock would be out of order, so that what is locked is undone first.
    loop
        begin
            select c.user_id
            into v_user_id
            from public.user_credits as c
            where c.id = p_lot_id and c.user_type = 'user';
            perform bookingdb.lock_people(array[v_user_id]);
            v_lock_timeout := bookingdb.limit_wait();
            select c.*
            into v_lot
            from public.user_credits as c
            where c.id = p_lot_id and c.user_type = 'user'
            for update;
            perform set_config('lock_timeout', v_lock_timeout, true);
            exit when v_lot.id is null or v_lot.user_id is not distinct from v_user_id;
            raise exception using errcode = 'integrity_constraint_violation';
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
            when integrity_constraint_violation then
                continue;
        end;
    end loop;
    if v_lot.id is null then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
    end if;
    return v_lot;
end;
$function$;

comment on function bookingdb.lock_lot(uuid) is
'Takes the locks of a client''s lot and of its client, and returns the lot. Caller holds: no lock of a person. Raises: lot_not_found, busy.';
