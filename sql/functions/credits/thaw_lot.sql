-- Public.
create or replace function bookingdb.thaw_lot(p_lot_id uuid, p_reason text)
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

    if v_lot.status = 'frozen' then
        perform bookingdb.note_on_lot(v_lot, 'thaw', 0, p_reason);
        update public.user_credits as c
        set status = case c.credits_balance when 0 then 'used' else 'active' end,
            expires_at = bookingdb.thawed_end(c),
            frozen_at = null,
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

comment on function bookingdb.thaw_lot(uuid, text) is
'Thaws a frozen lot: it can be spent again, and expires later by the time for which it was frozen. The ledger keeps p_reason (1 to 1000 characters). On a lot that is not frozen it does nothing. For trusted callers.';
