-- Public.
create or replace function bookingdb.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text default null,
    p_expires_at timestamptz default null,
    p_idempotency_key text default null,
    p_category text default 'paid',
    p_priority integer default 50,
    p_expires_on date default null
)
returns bookingdb.credit_grant
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
    v_expires_at timestamptz := p_expires_at;
    v_lot_id uuid;
    v_grant bookingdb.credit_grant;
    v_constraint text;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_amount is null or p_amount not between 1 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_amount', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    if p_category is null or p_category not in ('paid', 'promotional') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_category', 'allowed', jsonb_build_array('paid', 'promotional')
        ));
    end if;
    if p_priority is null or p_priority not between 0 and 100 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_priority', 'minimum', 0, 'maximum', 100
        ));
    end if;
    if p_expires_on is not null then
        v_expires_at := bookingdb.end_of_date('p_expires_on', p_expires_on);
        if p_expires_at is not null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_expires_on', 'reason', 'given_twice'
            ));
        end if;
    end if;

    perform bookingdb.lock_people(array[p_user_id]);

    -- The expiry is hashed as a number: as text it would depend on the connection's TimeZone.
    v_answer := bookingdb.find_earlier_answer('grant_credits', p_user_id, p_idempotency_key, jsonb_build_array(
        p_amount, p_payment_reference, extract(epoch from p_expires_at)::text
    ) || case when (p_category, p_priority) = ('paid', 50) then jsonb '[]'
        -- Requests from before these two parameters existed must still match.
        else jsonb_build_array(p_category, p_priority) end
    -- The date counts, not the timestamp: a retry says the same, whatever the zone has become since.
    || case when p_expires_on is null then jsonb '[]'
        else jsonb_build_array(jsonb_build_object('expires_on', p_expires_on)) end);
    v_lot_id := v_answer.result_id;
    if v_lot_id is null then
        v_lot_id := bookingdb.find_granted_lot(p_payment_reference, p_user_id, p_amount);
    end if;

    if v_lot_id is null then
        -- Only a new grant can be too late: a retry is answered above.
        if v_expires_at <= clock_timestamp() or v_expires_at >= timestamptz '3000-01-01 00:00:00+00' then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', case when p_expires_on is null then 'p_expires_at' else 'p_expires_on' end,
                'reason', case when v_expires_at <= clock_timestamp() then 'past' else 'too_far' end
            ));
        end if;
        if not exists (select from bookingdb.clients as c where c.id = p_user_id) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
        end if;

        v_lot_id := gen_random_uuid();
        begin
            v_lock_timeout := bookingdb.limit_wait();
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (p_user_id, v_lot_id, 'grant', p_amount, p_amount, bookingdb.actor());

            insert into public.user_credits (
                id, user_id, user_type, credits_balance, credits_purchased, expires_at, payment_reference, status,
                category, priority
            )
            values (
                v_lot_id, p_user_id, 'user', p_amount, p_amount, v_expires_at, p_payment_reference, 'active',
                p_category, p_priority
            );
            if not found then
                perform bookingdb.raise_write_swallowed();
            end if;

            perform bookingdb.write_credits_event('credits.granted', p_user_id, v_lot_id, p_amount);
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when unique_violation then
                -- Somebody else granted the same payment since the look-up, for another user or by writing the row.
                get stacked diagnostics v_constraint = constraint_name;
                v_lot_id := bookingdb.find_granted_lot(p_payment_reference, p_user_id, p_amount);
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

    -- A lot that was deleted since has a balance of 0.
    v_grant := row(
        v_lot_id,
        coalesce((select c.credits_balance from public.user_credits as c where c.id = v_lot_id), 0),
        coalesce(v_answer.credits_balance, bookingdb.credits_balance(p_user_id))
    );

    if v_answer.result_id is null then
        perform bookingdb.record_answer(v_answer, v_lot_id, v_grant.credits_balance);
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer, date) is
'Grants a client p_amount (1 to 10000) credits as one lot, which expires at p_expires_at (to come), or at the end of the day p_expires_on in the default policy''s zone, or never; returns the lot''s id, its balance, and the client''s total. The same payment reference, or the same idempotency key, never grants twice: it returns the same lot. Lots of a lower p_priority (0 to 100) are spent first, then the soonest to expire, then those of p_category promotional before paid. For trusted callers. Raises: invalid_user_id, invalid_parameter, user_not_found, busy.';
