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
        perform bookingdb.post_expiry(v_lot);
        v_expired := row(v_expired.lots + 1, v_expired.credits + v_lot.credits_balance);
    end loop;
    return v_expired;
end;
$function$;

comment on function bookingdb.expire_credits() is
'Posts what is left of expired lots to the ledger; returns how many lots and credits. Repeating it is harmless. Run it as a scheduled job; no balance depends on when. For trusted callers.';
