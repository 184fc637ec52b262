-- Public.
create or replace function bookingdb.adjust_credits(
    p_user_id uuid,
    p_amount integer,
    p_reason text,
    p_lot_id uuid default null,
    p_idempotency_key text default null
)
returns bookingdb.granted_credits
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
    v_left integer;
    v_part integer;
    v_lot public.user_credits;
    v_lot_id uuid;
    v_grant bookingdb.granted_credits;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_amount is null or p_amount = 0 or p_amount not between -10000 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_amount', 'minimum', -10000, 'maximum', 10000
        ));
    end if;
    perform bookingdb.require_credit_reason(p_reason);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    perform bookingdb.lock_people(array[p_user_id]);

    v_answer := bookingdb.find_earlier_answer(
        'adjust_credits', p_user_id, p_idempotency_key, jsonb_build_array(p_amount, p_reason, p_lot_id)
    );
    v_lot_id := v_answer.result_id;

    if v_lot_id is null then
        perform bookingdb.require_credit_account(p_user_id);
        perform bookingdb.require_own_lot(p_user_id, p_lot_id);

        if p_amount > 0 and p_lot_id is null then
            v_lot_id := bookingdb.new_id();
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (p_user_id, v_lot_id, 'adjustment', p_amount, p_amount, bookingdb.actor(), p_reason);
            perform bookingdb.write_credits_event('credits.adjusted', p_user_id, v_lot_id, p_amount);
            begin
                -- The foreign key waits for whoever holds the client's own row.
                insert into public.user_credits (
                    id, user_id, user_type, credits_balance, credits_purchased, status
                )
                values (v_lot_id, p_user_id, 'user', p_amount, p_amount, 'active');
            exception
                when lock_not_available then
                    perform bookingdb.raise_error('busy');
            end;
            if not found then
                perform bookingdb.raise_write_swallowed();
            end if;
        else
            -- Credits are added to the lot named, and taken from it, else from all lots in spending order.
            v_left := p_amount;
            begin
                v_lock_timeout := bookingdb.limit_wait();
                while v_left <> 0 loop
                    v_lot := bookingdb.lock_next_lot(p_user_id, p_lot_id, p_amount > 0);
                    exit when v_lot.id is null;
                    v_part := greatest(v_left, -v_lot.credits_balance);
                    -- A lot that was written directly may have no room for the sum in an integer.
                    if v_part > 2147483647 - v_lot.credits_balance then
                        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                            'parameter', 'p_amount', 'lot_id', v_lot.id, 'lot_balance', v_lot.credits_balance
                        ));
                    end if;
                    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
                    values (
                        p_user_id, v_lot.id, 'adjustment', v_part, v_lot.credits_balance + v_part, bookingdb.actor(),
                        p_reason
                    );
                    update public.user_credits as c
                    set credits_balance = c.credits_balance + v_part,
                        status = case when c.credits_balance + v_part > 0 then 'active' else 'used' end,
                        updated_at = now()
                    where c.id = v_lot.id;
                    if not found then
                        perform bookingdb.raise_write_swallowed();
                    end if;
                    perform bookingdb.write_credits_event('credits.adjusted', p_user_id, v_lot.id, v_part);
                    v_left := v_left - v_part;
                    v_lot_id := v_lot.id;
                end loop;
                perform set_config('lock_timeout', v_lock_timeout, true);
            exception
                when lock_not_available then
                    perform bookingdb.raise_error('busy');
            end;
            if v_left <> 0 then
                perform bookingdb.refuse_missing_credits(p_user_id, p_lot_id, v_left - p_amount);
            end if;
        end if;
    end if;

    v_grant := row(
        v_lot_id,
        coalesce((select c.credits_balance from public.user_credits as c where c.id = v_lot_id), 0),
        coalesce(v_answer.credits_balance, bookingdb.credits_balance(p_user_id)),
        v_answer.result_id is null
    );
    if v_answer.result_id is null then
        perform bookingdb.record_answer(v_answer, v_lot_id, v_grant.credits_balance);
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.adjust_credits(uuid, integer, text, uuid, text) is
'Adds p_amount credits (-10000 to 10000, not 0) to a client''s lot (without p_lot_id to a new one) or, when it is negative, takes them away (without p_lot_id in spending order). The ledger keeps p_reason (1 to 1000 characters). For trusted callers. Raises: invalid_user_id, invalid_parameter, busy.';
