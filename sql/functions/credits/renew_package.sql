create or replace function bookingdb.renew_package(p_lot_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_reason constant text := 'the package was renewed';
    v_new public.user_credits;
    v_lot public.user_credits;
    v_left integer;
    v_kept integer;
    v_ended integer;
    v_expires_at timestamptz;
    v_now timestamptz;
    v_lock_timeout text;
begin
    -- A payment that was taken back before it was granted renews nothing.
    select c.*
    into v_new
    from public.user_credits as c
    where c.id = p_lot_id and c.status = 'active' and c.credits_balance > 0;
    if not found then
        return;
    end if;

    -- A lot that was granted since the snapshot is hidden, and so each grant leaves a mark.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.require_current_rules(array[v_new.user_id]);
    end if;
    perform bookingdb.mark_rules_changed(array[v_new.user_id]);

    select p.rollover_cap
    into v_left
    from bookingdb.packages as p
    where p.id = v_new.package_id;
    if v_left is null then
        return;
    end if;

    begin
        v_lock_timeout := bookingdb.limit_wait();
        perform c.id
        from public.user_credits as c
        where c.user_id = v_new.user_id
            and c.user_type = 'user'
            and c.status = 'active'
            and c.credits_balance > 0
            and c.package_id = v_new.package_id
            and c.id <> v_new.id
        order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    -- The clock is read here, because a lot may have expired during the wait. What has expired stays expired.
    v_now := clock_timestamp();
    for v_lot in
        select c.*
        from public.user_credits as c
        where c.user_id = v_new.user_id
            and c.user_type = 'user'
            and c.status = 'active'
            and c.credits_balance > 0
            and c.package_id = v_new.package_id
            and c.id <> v_new.id
            and (c.expires_at is null or c.expires_at > v_now)
        order by c.created_at desc, c.id desc
    loop
        v_kept := least(v_left, v_lot.credits_balance);
        v_ended := v_lot.credits_balance - v_kept;
        v_left := v_left - v_kept;
        v_expires_at := case
            -- Its sessions are judged by the end that was sold (credits_valid_on).
            when v_kept = 0 then v_lot.expires_at
            -- No credit that stays ends earlier than it would have.
            when v_lot.expires_at < v_new.expires_at or v_new.expires_at is null then v_new.expires_at
            else v_lot.expires_at
        end;
        if v_ended > 0 then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (v_lot.user_id, v_lot.id, 'expiry', -v_ended, v_kept, bookingdb.actor(), c_reason);
            perform bookingdb.write_credits_event('credits.expired', v_lot.user_id, v_lot.id, -v_ended);
        end if;
        if v_kept > 0 and v_expires_at is distinct from v_lot.expires_at then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (v_lot.user_id, v_lot.id, 'extension', 0, v_kept, bookingdb.actor(), c_reason);
            perform bookingdb.write_credits_event('credits.extended', v_lot.user_id, v_lot.id, 0);
        end if;
        update public.user_credits as c
        set credits_balance = v_kept,
            credits_expired = least(c.credits_expired::bigint + v_ended, 2147483647),
            status = case v_kept when 0 then 'expired' else 'active' end,
            expires_at = v_expires_at,
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.renew_package(uuid) is
'Ends a client''s earlier lots of the package of a lot that was just granted, but for what its rollover cap keeps. Caller holds: the client''s lock. Raises: busy.';
