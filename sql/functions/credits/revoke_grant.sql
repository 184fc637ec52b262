-- Public.
create or replace function bookingdb.revoke_grant(
    p_lot_id uuid default null,
    p_payment_reference text default null,
    p_reason text default null,
    p_share double precision default 1,
    p_remember boolean default false
)
returns bookingdb.revoked_credits
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
    v_share numeric;
    v_revoked bookingdb.revoked_credits;
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_one_lot(p_lot_id, p_payment_reference);
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    -- NaN is more than any number.
    if p_share is null or p_share <= 0 or p_share > 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_share', 'minimum', 0, 'maximum', 1
        ));
    end if;
    if p_remember is null or (p_remember and p_payment_reference is null) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_remember', 'missing', case when p_remember then 'p_payment_reference' end
        ));
    end if;

    -- 1. Find the lot, or remember the revocation.
    for v_try in 1 .. 3 loop
        select c.*
        into v_lot
        from public.user_credits as c
        where c.id = coalesce(p_lot_id, bookingdb.lot_of_payment(p_payment_reference));
        exit when found;
        if not p_remember then
            perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
        end if;
        if bookingdb.remember_revocation(p_payment_reference, p_share::numeric, p_reason) then
            v_revoked := row(null, 0, 0, 0, 0, true);
            return v_revoked;
        end if;
        -- It was granted meanwhile.
    end loop;
    if v_lot.id is null then
        perform bookingdb.raise_error('busy');
    end if;

    -- 2. The share that was refunded never goes down.
    v_lot_ids := bookingdb.lock_family(v_lot.id);
    v_share := bookingdb.record_revocation(v_lot.id, p_share::numeric, p_reason);

    -- 3. Take back what is there, in spending order.
    perform bookingdb.take_back(v_lot.id, v_lot_ids, v_share, p_reason);

    -- The answer comes from the ledger, so that a repeated call says the same.
    select
        v_lot.id,
        -coalesce(sum(l.amount) filter (where l.kind in ('revocation', 'reinstatement')), 0),
        -coalesce(sum(l.amount) filter (where l.kind in ('debit', 'refund', 'goodwill')), 0),
        bookingdb.credits_balance(v_lot.user_id),
        (
            select coalesce(sum(c.credits_owed), 0)
            from public.user_credits as c
            where c.id = any (v_lot_ids)
        ),
        false
    into v_revoked
    from bookingdb.ledger as l
    where l.lot_id = any (v_lot_ids);
    return v_revoked;
end;
$function$;

comment on function bookingdb.revoke_grant(uuid, text, text, double precision, boolean) is
'Takes back the credits of a lot, named by its id or its payment reference, for a refund or a chargeback; returns how many were taken, how many had been spent, and how many are owed. p_share (over 0, up to 1) is the share of the payment that was refunded so far, in all; it never goes down. What is owed is revoked when it comes back to that lot; what comes back to another lot of the family (a grace lot, another client''s) at the next call. p_remember: a payment that was not granted yet is remembered, and its credits are revoked when it is. Repeating it is harmless, and takes what is there by then. For trusted callers. Raises: invalid_parameter, lot_not_found, busy.';
