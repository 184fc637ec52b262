create or replace function bookingdb.return_credit(p_session public.sessions)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now timestamptz;
    v_debit bookingdb.ledger;
    v_lot public.user_credits;
    v_grace_id uuid;
    v_lock_timeout text;
begin
    select l.*
    into v_debit
    from bookingdb.ledger as l
    where l.session_id = p_session.id and l.kind = 'debit';
    if not found or exists (
        select from bookingdb.ledger as l where l.session_id = p_session.id and l.kind = 'refund'
    ) then
        -- No credit was taken, or it was returned before.
        return false;
    end if;

    begin
        v_lock_timeout := bookingdb.limit_wait();
        select c.*
        into v_lot
        from public.user_credits as c
        where c.id = v_debit.lot_id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    -- The clock is read here, because the lot may have expired during the wait.
    v_now := clock_timestamp();
    if v_lot.id is null
        or v_lot.status = 'expired'
        or (v_lot.status = 'active' and (v_lot.expires_at <= v_now or v_lot.credits_balance = 2147483647)) then
        -- The lot has expired: the credit comes back in a grace lot, which the client has time to spend. (A lot that
        -- was revoked has no grace.) A balance that only a direct writer can make has no room for one credit more.
        v_grace_id := gen_random_uuid();
        insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
        values (v_debit.user_id, v_grace_id, p_session.id, 'refund', 1, 1, bookingdb.actor());
        perform bookingdb.write_credits_event('credits.refunded', v_debit.user_id, v_grace_id, 1, p_session.id);
        begin
            -- The foreign key waits for whoever holds the client's own row.
            insert into public.user_credits (
                id, user_id, user_type, credits_balance, expires_at, status, category, priority, grace_for_lot_id
            )
            values (
                v_grace_id, v_debit.user_id, coalesce(v_lot.user_type, 'user'), 1,
                bookingdb.add_elapsed(v_now, (bookingdb.policy_of(p_session.therapist_id)).refund_grace), 'active',
                coalesce(v_lot.category, 'paid'), coalesce(v_lot.priority, 50), v_debit.lot_id
            );
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    else
        insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
        values (v_lot.user_id, v_lot.id, p_session.id, 'refund', 1, v_lot.credits_balance + 1, bookingdb.actor());
        perform bookingdb.write_credits_event('credits.refunded', v_lot.user_id, v_lot.id, 1, p_session.id);
        if v_lot.status = 'active' then
            update public.user_credits as c
            set credits_balance = c.credits_balance + 1,
                credits_used = greatest(c.credits_used, 1) - 1,
                updated_at = now()
            where c.id = v_lot.id;
        else
            -- The payment was taken back meanwhile, so the returned credit is revoked, too.
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (
                v_lot.user_id, v_lot.id, 'revocation', -1, v_lot.credits_balance, bookingdb.actor(),
                'refund to a lot that is ' || v_lot.status
            );
            perform bookingdb.write_credits_event('credits.revoked', v_lot.user_id, v_lot.id, -1);
            update public.user_credits as c
            set credits_used = greatest(c.credits_used, 1) - 1,
                updated_at = now()
            where c.id = v_lot.id;
        end if;
    end if;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    return true;
end;
$function$;

comment on function bookingdb.return_credit(public.sessions) is
'Returns a session''s credit once, to its lot or, when that has expired, in a grace lot. Says whether there was one to return. Caller holds: the client''s lock. Raises: busy.';
