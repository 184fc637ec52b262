-- Public.
create or replace function bookingdb.transfer_credits(
    p_from_user_id uuid,
    p_to_user_id uuid,
    p_amount integer,
    p_reason text,
    p_lot_id uuid default null,
    p_idempotency_key text default null
)
returns bookingdb.transferred_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_answer bookingdb.idempotency_keys;
    v_left integer := p_amount;
    v_part integer;
    v_lot public.user_credits;
    v_lot_ids uuid[] := '{}';
    v_transferred bookingdb.transferred_credits;
begin
    perform bookingdb.authorise_trusted();

    if p_from_user_id is null or p_to_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_from_user_id = p_to_user_id then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to_user_id', 'reason', 'same_person'
        ));
    end if;
    if p_amount is null or p_amount not between 1 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_amount', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    perform bookingdb.require_credit_reason(p_reason);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    perform bookingdb.lock_people(array[p_from_user_id, p_to_user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'transfer_credits', p_from_user_id, p_idempotency_key,
        jsonb_build_array(p_to_user_id, p_amount, p_reason, p_lot_id)
    );
    if v_answer.result_id is not null then
        return jsonb_populate_record(null::bookingdb.transferred_credits, v_answer.result);
    end if;

    perform bookingdb.require_credit_account(p_from_user_id);
    -- An old snapshot may show a client as active who is not any more.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.require_current_rules(array[p_to_user_id]);
    end if;
    if not bookingdb.is_client(p_to_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_to_user_id));
    end if;
    perform bookingdb.require_own_lot(p_from_user_id, p_lot_id);

    while v_left > 0 loop
        v_lot := bookingdb.lock_next_lot(p_from_user_id, p_lot_id);
        exit when v_lot.id is null;
        v_part := least(v_left, v_lot.credits_balance);
        v_lot_ids := v_lot_ids || bookingdb.transfer_part(v_lot, p_to_user_id, v_part, p_reason);
        v_left := v_left - v_part;
    end loop;
    if v_left > 0 then
        -- The error undoes what was taken above.
        perform bookingdb.refuse_missing_credits(p_from_user_id, p_lot_id, p_amount - v_left);
    end if;

    v_transferred := row(
        v_lot_ids, p_amount, bookingdb.credits_balance(p_from_user_id), bookingdb.credits_balance(p_to_user_id)
    );
    -- The key is the giver's, and so is the lot that it names.
    v_answer.result := to_jsonb(v_transferred);
    perform bookingdb.record_answer(v_answer, v_lot.id, v_transferred.from_balance);
    return v_transferred;
end;
$function$;

comment on function bookingdb.transfer_credits(uuid, uuid, integer, text, uuid, text) is
'Passes p_amount (1 to 10000) credits of one client on to another, who must be active: from the lot p_lot_id, or from their lots in spending order. Each part becomes a lot of the receiver with the same expiry, category, priority and package; when the payment is taken back, it is revoked, too. The ledger keeps p_reason (1 to 1000 characters). Returns the new lots and what both clients can spend. The same idempotency key transfers once. For trusted callers. Raises: invalid_user_id, invalid_parameter, user_not_found.';
