create or replace function bookingdb.grant_lot(
    p_function_name text,
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text,
    p_expires_at timestamptz,
    p_idempotency_key text,
    p_request jsonb,
    p_category text,
    p_priority integer,
    p_package_id uuid default null,
    p_expiry_parameter text default null
)
returns bookingdb.granted_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_answer bookingdb.idempotency_keys;
    v_lot_id uuid;
    v_is_new boolean := false;
    v_grant bookingdb.granted_credits;
    v_constraint text;
    v_lock_timeout text;
    -- A package may contain another number of credits by now.
    v_amount constant integer := case when p_package_id is null then p_amount end;
begin
    perform bookingdb.lock_people(array[p_user_id]);

    v_answer := bookingdb.find_earlier_answer(p_function_name, p_user_id, p_idempotency_key, p_request);
    v_lot_id := v_answer.result_id;
    if v_lot_id is null then
        v_lot_id := bookingdb.find_granted_lot(p_payment_reference, p_user_id, v_amount);
    end if;

    if v_lot_id is null then
        if p_amount is null then
            perform bookingdb.raise_error('package_not_found', jsonb_build_object('package_id', p_package_id));
        end if;
        -- Only a new grant can be too late: a retry is answered above.
        if p_expires_at <= clock_timestamp() or p_expires_at >= timestamptz '3000-01-01 00:00:00+00' then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', p_expiry_parameter,
                'reason', case when p_expires_at <= clock_timestamp() then 'past' else 'too_far' end
            ));
        end if;
        if not bookingdb.is_client(p_user_id) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
        end if;

        v_lot_id := bookingdb.new_id();
        begin
            v_lock_timeout := bookingdb.limit_wait();
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (p_user_id, v_lot_id, 'grant', p_amount, p_amount, bookingdb.actor());
            -- Before the lot, whose trigger takes back what was revoked before it was granted.
            perform bookingdb.write_credits_event('credits.granted', p_user_id, v_lot_id, p_amount);

            insert into public.user_credits (
                id, user_id, user_type, credits_balance, credits_purchased, expires_at, payment_reference, status,
                category, priority, package_id
            )
            values (
                v_lot_id, p_user_id, 'user', p_amount, p_amount, p_expires_at, p_payment_reference, 'active',
                p_category, p_priority, p_package_id
            );
            if not found then
                perform bookingdb.raise_write_swallowed();
            end if;
            v_is_new := true;
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when integrity_constraint_violation then
                -- Somebody else granted the same payment since the look-up, for another user or by writing the row.
                get stacked diagnostics v_constraint = constraint_name;
                v_lot_id := bookingdb.find_granted_lot(p_payment_reference, p_user_id, v_amount);
                if v_lot_id is null and v_constraint = 'user_credits_payment_reference_key' then
                    -- REPEATABLE READ and SERIALIZABLE hide the other lot until the caller begins a new transaction.
                    perform bookingdb.raise_error('busy');
                elsif v_lot_id is null then
                    raise;
                end if;
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    end if;

    if p_package_id is not null and v_is_new then
        perform bookingdb.renew_package(v_lot_id);
    end if;

    -- A lot that was deleted since has a balance of 0.
    v_grant := row(
        v_lot_id,
        coalesce((select c.credits_balance from public.user_credits as c where c.id = v_lot_id), 0),
        coalesce(v_answer.credits_balance, bookingdb.credits_balance(p_user_id)),
        v_is_new
    );

    if v_answer.result_id is null then
        perform bookingdb.record_answer(v_answer, v_lot_id, v_grant.credits_balance);
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.grant_lot(
    text, uuid, integer, text, timestamptz, text, jsonb, text, integer, uuid, text
) is
'Grants credits as one lot, once per payment and key. p_amount NULL: only answers retries. Raises: package_not_found, invalid_parameter, user_not_found, busy.';
