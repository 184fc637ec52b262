create or replace function bookingdb.give_back(p_family uuid[], p_reason text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_grace_ends_at constant timestamptz := bookingdb.add_elapsed(v_now, (bookingdb.policy_of(null)).refund_grace);
    v_lot record;
    v_expires_at timestamptz;
    v_is_over boolean;
    v_is_forfeited boolean;
begin
    -- Credits that are left in a lot that is over stay expired.
    perform bookingdb.post_expiry(c)
    from public.user_credits as c
    where c.id = any (p_family) and c.status = 'active' and c.expires_at <= v_now;

    for v_lot in
        select c.*, r.revoked, coalesce(e.is_ended, false) as is_ended
        from public.user_credits as c
        cross join lateral (
            select -coalesce(sum(l.amount), 0) as revoked
            from bookingdb.ledger as l
            where l.lot_id = c.id and l.kind in ('revocation', 'reinstatement')
        ) as r
        left join lateral (
            -- A renewal ended it before its time: the last that happened to it, but for revocations.
            select l.kind = 'expiry'
                and l.balance_after = 0
                and (c.expires_at is null or l.created_at < c.expires_at) as is_ended
            from bookingdb.ledger as l
            where l.lot_id = c.id
                and l.kind <> 'revocation'
                and (l.kind <> 'reinstatement' or l.amount > 0)
                and l.is_forfeited is null
            order by l.id desc
            limit 1
        ) as e on true
        where c.id = any (p_family) and (c.status = 'revoked' or c.credits_owed > 0 or r.revoked > 0)
        order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
    loop
        -- A lot that was written directly may have no room for the sum in an integer.
        if v_lot.revoked > 2147483647 - v_lot.credits_balance then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_lot_id', 'lot_id', v_lot.id, 'lot_balance', v_lot.credits_balance
            ));
        end if;

        -- 1. Only the time for which the lot itself was revoked is made up for, if it was not over before. (Until it
        -- thaws, the time of a frozen lot stands still anyway.)
        v_expires_at := v_lot.expires_at;
        if v_lot.status = 'revoked'
            and v_lot.frozen_at is null
            and not v_lot.is_ended
            and v_lot.revoked_at < least(v_lot.expires_at, v_now)
            and v_lot.expires_at < timestamptz '2900-01-01 00:00:00+00' then
            v_expires_at := bookingdb.add_elapsed(v_lot.expires_at, v_now - v_lot.revoked_at);
        end if;

        -- 2. Credits that come back to a lot that is over have grace, once, as those of a cancelled session.
        v_is_over := v_lot.frozen_at is null
        and (v_lot.status = 'expired' or v_lot.is_ended or coalesce(v_expires_at <= v_now, false));
        v_is_forfeited := false;
        if v_is_over and v_lot.revoked > 0 then
            v_is_forfeited := v_lot.grace_for_lot_id is not null or v_grace_ends_at <= v_now;
            if not v_is_forfeited then
                v_expires_at := v_grace_ends_at;
            end if;
        end if;

        if v_lot.revoked > 0 or v_lot.status = 'revoked' then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (
                v_lot.user_id, v_lot.id, 'reinstatement', v_lot.revoked, v_lot.credits_balance + v_lot.revoked,
                bookingdb.actor(), p_reason
            );
            perform bookingdb.write_credits_event(
                'credits.reinstated', v_lot.user_id, v_lot.id, v_lot.revoked::integer
            );
        end if;
        if v_is_forfeited then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (
                v_lot.user_id, v_lot.id, 'expiry', -v_lot.revoked, v_lot.credits_balance, bookingdb.actor()
            );
            perform bookingdb.write_credits_event(
                'credits.expired', v_lot.user_id, v_lot.id, -v_lot.revoked::integer
            );
        end if;
        update public.user_credits as c
        set credits_balance = c.credits_balance + case when v_is_forfeited then 0 else v_lot.revoked end,
            credits_expired = case
                when v_is_forfeited then least(c.credits_expired::bigint + v_lot.revoked, 2147483647)
                else c.credits_expired
            end,
            credits_owed = 0,
            status = case
                when v_lot.revoked = 0 and c.status <> 'revoked' then c.status
                -- It was frozen before it was revoked, and is again.
                when c.frozen_at is not null then 'frozen'
                when v_is_forfeited or (v_is_over and v_lot.revoked = 0) then 'expired'
                when c.credits_balance + v_lot.revoked > 0 then 'active'
                else 'used'
            end,
            expires_at = v_expires_at,
            revoked_at = null,
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.give_back(uuid[], text) is
'Reinstates what was revoked in these lots, which expire later by that time; to one that is over, credits come back with grace. Caller holds: the locks of lock_family(). Raises: invalid_parameter.';
