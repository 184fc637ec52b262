-- Public.
create or replace function bookingdb.reinstate_grant(
    p_lot_id uuid default null,
    p_payment_reference text default null,
    p_reason text default null
)
returns bookingdb.reinstated_grant
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
    v_lot_ids uuid[];
    v_reinstated bookingdb.reinstated_grant;
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_one_lot(p_lot_id, p_payment_reference);
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);

    -- 1. Find the lot, or forget a revocation that was remembered.
    for v_try in 1 .. 3 loop
        select c.*
        into v_lot
        from public.user_credits as c
        where c.id = coalesce(p_lot_id, bookingdb.lot_of_payment(p_payment_reference));
        exit when found;
        if not exists (
            select from bookingdb.payments as p where p.payment_key = bookingdb.payment_key(p_payment_reference)
        ) then
            perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
        end if;
        if bookingdb.remember_revocation(p_payment_reference, 0, p_reason) then
            v_reinstated := row(null, 0, 0);
            return v_reinstated;
        end if;
        -- It was granted meanwhile.
    end loop;
    if v_lot.id is null then
        perform bookingdb.raise_error('busy');
    end if;

    -- 2. Give back what was taken.
    v_lot_ids := bookingdb.lock_family(v_lot.id);
    perform bookingdb.record_revocation(v_lot.id, 0, p_reason);
    perform bookingdb.give_back(v_lot_ids, p_reason);

    -- The answer comes from the ledger, so that a repeated call says the same.
    select v_lot.id, coalesce(sum(l.amount), 0), bookingdb.credits_balance(v_lot.user_id)
    into v_reinstated
    from bookingdb.ledger as l
    where l.lot_id = any (v_lot_ids) and l.kind = 'reinstatement';
    return v_reinstated;
end;
$function$;

comment on function bookingdb.reinstate_grant(uuid, text, text) is
'Gives back what revoke_grant() took of a lot, named by its id or its payment reference, when a dispute was won; nothing is owed any more. A lot whose status was revoked expires later by as long as it was. Credits come back to a lot that is over for the default policy''s refund_grace, or else expire at once. A revocation that was only remembered is forgotten. Returns how many credits were ever given back. Repeating it is harmless. For trusted callers. Raises: lot_not_found, busy.';
