create or replace function bookingdb.lock_family(p_lot_id uuid)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot_ids uuid[];
    v_found uuid[];
    v_people uuid[] := '{}';
    v_lock_timeout text;
begin
    -- Credits pass on to other people until all of them are locked. Waiting for those while holding the locks of the
    -- others could be a deadlock, so what is locked is undone, and then all are locked in order.
    loop
        begin
            perform bookingdb.lock_people(v_people);
            v_lot_ids := bookingdb.lot_family(p_lot_id);
            v_found := array(
                select c.user_id
                from public.user_credits as c
                where c.id = any (v_lot_ids) and c.user_id is not null
                union
                select l.user_id
                from bookingdb.ledger as l
                where l.lot_id = any (v_lot_ids) and l.user_id is not null
            );
            exit when v_found <@ v_people;
            v_people := v_people || v_found;
            raise exception using errcode = 'integrity_constraint_violation';
        exception
            when integrity_constraint_violation then
                continue;
        end;
    end loop;

    -- Not lock_next_lot(), which locks one lot that can be spent: here all are, even empty, expired and revoked ones.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        perform c.id
        from public.user_credits as c
        where c.id = any (v_lot_ids)
        order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    if not exists (select from public.user_credits as c where c.id = p_lot_id) then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
    end if;
    return v_lot_ids;
end;
$function$;

comment on function bookingdb.lock_family(uuid) is
'Locks everybody who had credits of a lot, and then the lots of its family in spending order; returns their ids. Raises: lot_not_found, busy.';
