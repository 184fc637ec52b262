create or replace function bookingdb.pass_on_lots(p_from_id uuid, p_into_id uuid, p_reason text)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits;
    -- An application may have made the column a bigint.
    v_credits integer;
    v_passed bigint := 0;
    v_lock_timeout text;
begin
    v_lock_timeout := bookingdb.limit_wait();
    -- All of them, even empty, expired and revoked ones: what comes back, or is taken back, finds its lot.
    for v_lot in
        select c.*
        from public.user_credits as c
        where c.user_id = p_from_id
        order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
        for update
    loop
        v_lot := bookingdb.post_expiry(v_lot);
        v_credits := v_lot.credits_balance;
        if v_credits > 0 then
            -- The entries of the first client take all credits out before the other one's bring them back.
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values
            (p_from_id, v_lot.id, 'transfer', -v_credits, 0, bookingdb.actor(), p_reason),
            (p_into_id, v_lot.id, 'transfer', v_credits, v_credits, bookingdb.actor(), p_reason);
            perform bookingdb.write_credits_event('credits.transferred', p_from_id, v_lot.id, -v_credits);
            perform bookingdb.write_credits_event('credits.transferred', p_into_id, v_lot.id, v_credits);
        end if;
        update public.user_credits as c
        set user_id = p_into_id,
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
        v_passed := v_passed + v_credits;
    end loop;
    perform set_config('lock_timeout', v_lock_timeout, true);
    return least(v_passed, 2147483647);
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.pass_on_lots(uuid, uuid, text) is
'Gives a client''s lots to another client, with a pair of ledger entries for each that has credits, and returns how many credits. Caller holds: the locks of both people. Raises: busy.';
