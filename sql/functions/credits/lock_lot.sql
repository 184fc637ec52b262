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
    select c.user_id
    into v_user_id
    from public.user_credits as c
    where c.id = p_lot_id and c.user_type = 'user';
    perform bookingdb.lock_people(array[v_user_id]);
    begin
        v_lock_timeout := bookingdb.limit_wait();
        select c.*
        into v_lot
        from public.user_credits as c
        where c.id = p_lot_id and c.user_type = 'user'
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if v_lot.id is null then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
    end if;
    -- The lot passed on to another client since, whose lock would be out of order now.
    if v_lot.user_id is distinct from v_user_id then
        perform bookingdb.raise_error('busy');
    end if;
    return v_lot;
end;
$function$;

comment on function bookingdb.lock_lot(uuid) is
'Takes the locks of a client''s lot and of its client, and returns the lot. Caller holds: no lock of a person. Raises: lot_not_found, busy.';
