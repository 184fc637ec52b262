create or replace function bookingdb.return_credit(
    p_session public.sessions,
    p_reason text default null,
    p_actor text default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor constant text := coalesce(p_actor, bookingdb.actor());
    -- Credits that come back after the session are goodwill.
    v_kind constant text := case when p_session.status in ('completed', 'no_show') then 'goodwill' else 'refund' end;
    v_last bookingdb.ledger;
    v_debit bookingdb.ledger;
    v_lot public.user_credits;
    v_lock_timeout text;
    v_found boolean := false;
    v_is_theirs boolean;
begin
    -- Every charge but the last was returned. The last entry, in this order, is that of the last part: the return, if
    -- there is one, before the debit. (An anti-join would cost 2 % of a cancellation's instructions.)
    select l.*
    into v_last
    from bookingdb.ledger as l
    where l.session_id = p_session.id
    order by l.charge desc, l.part desc, l.kind desc
    limit 1;
    -- The parts were numbered as they were taken, so their lots are locked in spending order.
    for v_part in 1 .. coalesce(v_last.part, 0) loop
        v_debit := v_last;
        if v_last.part > 1 then
            select l.*
            into v_debit
            from bookingdb.ledger as l
            where l.session_id = p_session.id and l.charge = v_last.charge and l.part = v_part
            order by l.kind desc
            limit 1;
        end if;
        -- The part was returned before.
        continue when v_debit.kind is distinct from 'debit';

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

        -- The client is gone, and nobody is left to return it to.
        continue when v_lot.id is null and p_session.user_id is null;

        -- The lot may be somebody's by now who never had this session.
        v_is_theirs := v_lot.user_id is null or v_lot.user_id in (p_session.user_id, v_debit.user_id);
        if not v_is_theirs then
            v_lot.user_id := v_debit.user_id;
        end if;

        -- The clock is read here, because the lot may have expired during the wait.
        if v_lot.id is null
            or (v_lot.status = 'expired' and v_lot.credits_owed = 0)
            or (
                v_lot.status in ('active', 'used', 'frozen')
                and (
                    not v_is_theirs
                    -- The time of a frozen lot stands still.
                    or (
                        v_lot.status <> 'frozen'
                        and v_lot.expires_at <= clock_timestamp()
                        and v_lot.credits_owed = 0
                    )
                    or v_lot.credits_balance > 2147483647 + v_debit.amount
                )
            ) then
            -- Neither a lot that was revoked nor credits that are owed have grace. A balance that only a direct writer
            -- can make has no room for more.
            perform bookingdb.open_grace_lot(p_session, v_debit, v_kind, v_lot, p_reason, v_actor);
        else
            insert into bookingdb.ledger (
                user_id, lot_id, session_id, kind, amount, balance_after, actor, charge, part, reason, is_forfeited
            )
            values (
                v_lot.user_id, v_lot.id, p_session.id, v_kind, -v_debit.amount, v_lot.credits_balance - v_debit.amount,
                v_actor, v_debit.charge, v_debit.part, p_reason,
                nullif(v_lot.credits_owed > 0 or v_lot.status not in ('active', 'used', 'frozen'), false)
            );
            perform bookingdb.write_credits_event(
                'credits.refunded', v_lot.user_id, v_lot.id, -v_debit.amount, p_session.id
            );
            if v_lot.status in ('active', 'used', 'frozen') and v_lot.credits_owed = 0 then
                update public.user_credits as c
                set credits_balance = c.credits_balance - v_debit.amount,
                    status = case c.status when 'frozen' then 'frozen' else 'active' end,
                    credits_used = greatest(c.credits_used, -v_debit.amount) + v_debit.amount,
                    updated_at = now()
                where c.id = v_lot.id;
            else
                -- The payment was taken back meanwhile, so what is returned is revoked, too.
                insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
                values (
                    v_lot.user_id, v_lot.id, 'revocation', v_debit.amount, v_lot.credits_balance, v_actor,
                    case
                        when v_lot.status in ('revoked', 'refunded') then 'refund to a lot that is ' || v_lot.status
                        else 'refund of what is owed for a payment that was refunded in part'
                    end
                );
                perform bookingdb.write_credits_event('credits.revoked', v_lot.user_id, v_lot.id, v_debit.amount);
                update public.user_credits as c
                set credits_owed = greatest(c.credits_owed + v_debit.amount, 0),
                    credits_used = greatest(c.credits_used, -v_debit.amount) + v_debit.amount,
                    updated_at = now()
                where c.id = v_lot.id;
            end if;
            if not found then
                perform bookingdb.raise_write_swallowed();
            end if;
        end if;
        v_found := true;
    end loop;
    return v_found;
end;
$function$;

comment on function bookingdb.return_credit(public.sessions, text, text) is
'Returns a session''s credits once, with a reason and an actor (NULL: the caller) for the ledger. Says whether there were any. Caller holds: the locks of the session and the client. Raises: busy.';
