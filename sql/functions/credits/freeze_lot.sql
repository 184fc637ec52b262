-- Public.
create or replace function bookingdb.freeze_lot(p_lot_id uuid, p_reason text)
returns bookingdb.lot
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_lot public.user_credits;
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_credit_reason(p_reason);
    v_lot := bookingdb.lock_lot(p_lot_id);

    if v_lot.status <> 'frozen' then
        if bookingdb.lot_state(v_lot) not in ('active', 'used') then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_lot_id', 'lot_id', p_lot_id, 'status', bookingdb.lot_state(v_lot)
            ));
        end if;
        perform bookingdb.note_on_lot(v_lot, 'freeze', 0, p_reason);
        update public.user_credits as c
        set status = 'frozen',
            frozen_at = clock_timestamp(),
            updated_at = now()
        where c.id = p_lot_id
        returning c.*
        into v_lot;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    end if;
    return bookingdb.listed_lot(v_lot);
end;
$function$;

comment on function bookingdb.freeze_lot(uuid, text) is
'Freezes a lot: until thaw_lot() its credits cannot be spent, and it does not expire. The ledger keeps p_reason (1 to 1000 characters). Repeating it is harmless. For trusted callers. Raises: invalid_parameter.';
