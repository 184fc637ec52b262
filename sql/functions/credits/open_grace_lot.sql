create or replace function bookingdb.open_grace_lot(
    p_session public.sessions,
    p_debit bookingdb.ledger,
    p_kind text,
    p_lot public.user_credits,
    p_reason text default null,
    p_actor text default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_amount constant integer := -p_debit.amount;
    v_actor constant text := coalesce(p_actor, bookingdb.actor());
    v_user_id constant uuid := coalesce(p_lot.user_id, p_debit.user_id);
    v_expires_at timestamptz;
    v_owner_id uuid;
    v_is_over boolean;
    v_is_forfeited boolean;
    -- Returned credits that have no time left stay in the lot they came from, if it is there, and the client's.
    v_lot_id uuid;
    v_balance integer := 0;
begin
    -- A new version of the lot tells revoke_grant() in an older snapshot of the grace lot that it cannot see.
    update public.user_credits as c
    set updated_at = now()
    where c.id = p_lot.id
    returning c.user_id
    into v_owner_id;

    -- Grace is given once. A lot that is not over (it is somebody else's by now, or full) has the time that it has.
    v_expires_at := bookingdb.add_elapsed(v_now, (bookingdb.policy_of(p_session.therapist_id)).refund_grace);
    v_is_over := p_lot.id is null or p_lot.status = 'expired'
    or (p_lot.status <> 'frozen' and coalesce(p_lot.expires_at <= v_now, false));
    v_is_forfeited := v_is_over and (p_lot.grace_for_lot_id is not null or v_expires_at <= v_now);
    if not v_is_over and v_expires_at <= v_now then
        v_expires_at := bookingdb.thawed_end(p_lot);
    end if;
    if v_is_forfeited and v_owner_id = v_user_id and p_lot.credits_balance <= 2147483647 - v_amount then
        v_lot_id := p_lot.id;
        v_balance := p_lot.credits_balance;
    else
        v_lot_id := bookingdb.new_id();
    end if;

    insert into bookingdb.ledger (
        user_id, lot_id, session_id, kind, amount, balance_after, actor, charge, part, reason, is_forfeited
    )
    values (
        v_user_id, v_lot_id, p_session.id, p_kind, v_amount, v_balance + v_amount, v_actor, p_debit.charge,
        p_debit.part, p_reason, nullif(v_is_forfeited, false)
    );
    perform bookingdb.write_credits_event('credits.refunded', v_user_id, v_lot_id, v_amount, p_session.id);
    if v_is_forfeited then
        insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
        values (v_user_id, v_lot_id, 'expiry', -v_amount, v_balance, v_actor);
        perform bookingdb.write_credits_event('credits.expired', v_user_id, v_lot_id, -v_amount);
    end if;

    if v_lot_id = p_lot.id then
        update public.user_credits as c
        set credits_used = greatest(c.credits_used, v_amount) - v_amount,
            credits_expired = least(c.credits_expired::bigint + v_amount, 2147483647),
            -- Credits that are left wait for expire_credits().
            status = case c.credits_balance when 0 then 'expired' else c.status end,
            updated_at = now()
        where c.id = v_lot_id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
        return;
    end if;

    begin
        -- The foreign key waits for whoever holds the client's own row.
        insert into public.user_credits (
            id, user_id, user_type, credits_balance, credits_expired, expires_at, status, category, priority,
            grace_for_lot_id
        )
        values (
            v_lot_id, v_user_id, coalesce(p_lot.user_type, 'user'),
            case when v_is_forfeited then 0 else v_amount end, case when v_is_forfeited then v_amount else 0 end,
            -- One that is forfeited has been over for as long as its lot.
            case when v_is_forfeited then least(p_lot.expires_at, v_now) else v_expires_at end,
            case when v_is_forfeited then 'expired' else 'active' end,
            coalesce(p_lot.category, 'paid'), coalesce(p_lot.priority, 50), p_debit.lot_id
        );
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
end;
$function$;

comment on function bookingdb.open_grace_lot(
    public.sessions, bookingdb.ledger, text, public.user_credits, text, text
) is
'Returns what a debit took from p_lot (NULLs: it is gone), which has expired, in a lot with time to spend it; if there is none, it expires with p_lot. Caller holds: the client''s lock. Raises: busy.';
