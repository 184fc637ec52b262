-- Public.
create or replace function bookingdb.expire_credits()
returns bookingdb.expired_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_lot public.user_credits;
    v_expired bookingdb.expired_credits := row(0, 0);
begin
    perform bookingdb.authorise_trusted();

    -- Lots that somebody is writing are left for the next run, so that nobody waits. They count for nothing anyway
    -- (credits_balance).
    for v_lot in
        select c.*
        from public.user_credits as c
        where c.status = 'active' and c.expires_at <= v_now
        for update skip locked
    loop
        if v_lot.credits_balance > 0 then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (v_lot.user_id, v_lot.id, 'expiry', -v_lot.credits_balance, 0, bookingdb.actor());
        end if;
        update public.user_credits as c
        set credits_balance = 0,
            -- Capped at what an integer holds: one lot that was written directly must not stop the run.
            credits_expired = least(c.credits_expired::bigint + v_lot.credits_balance, 2147483647),
            status = 'expired',
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
        if v_lot.credits_balance > 0 then
            perform bookingdb.write_credits_event('credits.expired', v_lot.user_id, v_lot.id, -v_lot.credits_balance);
        end if;
        v_expired := row(v_expired.lots + 1, v_expired.credits + v_lot.credits_balance);
    end loop;
    return v_expired;
end;
$function$;

comment on function bookingdb.expire_credits() is
'Posts what is left of expired lots to the ledger; returns how many lots and credits. Repeating it is harmless. Run it as a scheduled job; no balance depends on when. For trusted callers.';
