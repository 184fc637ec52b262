create or replace function bookingdb.give_back(p_family uuid[], p_reason text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_lot record;
begin
    for v_lot in
        select c.*, r.revoked, r.since
        from public.user_credits as c
        cross join lateral (
            select
                -coalesce(sum(l.amount), 0) as revoked,
                -- The first revocation since everything was given back the last time.
                min(l.created_at) filter (where l.kind = 'revocation' and l.id > coalesce((
                    select max(e.id)
                    from bookingdb.ledger as e
                    where e.lot_id = c.id and e.kind = 'reinstatement'
                ), 0)) as since
            from bookingdb.ledger as l
            where l.lot_id = c.id and l.kind in ('revocation', 'reinstatement')
        ) as r
        where c.id = any (p_family) and (c.status = 'revoked' or c.credits_owed > 0 or r.revoked > 0)
        order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
    loop
        -- A lot that was written directly may have no room for the sum in an integer.
        if v_lot.revoked > 2147483647 - v_lot.credits_balance then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_lot_id', 'lot_id', v_lot.id, 'lot_balance', v_lot.credits_balance
            ));
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
        update public.user_credits as c
        set credits_balance = c.credits_balance + v_lot.revoked,
            credits_owed = 0,
            status = case
                when v_lot.revoked = 0 and c.status <> 'revoked' then c.status
                -- It was frozen before it was revoked, and is again.
                when c.frozen_at is not null then 'frozen'
                when c.credits_balance + v_lot.revoked > 0 then 'active'
                else 'used'
            end,
            -- Until it thaws, the time of a frozen lot stands still anyway.
            expires_at = case
                when c.frozen_at is null and v_lot.since < v_now and c.expires_at < timestamptz '2900-01-01 00:00:00+00'
                    then bookingdb.add_elapsed(c.expires_at, v_now - v_lot.since)
                else c.expires_at
            end,
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.give_back(uuid[], text) is
'Reinstates what was revoked in these lots; nothing is owed any more. They expire later by the time for which they were revoked. Caller holds: the locks of lock_family(). Raises: invalid_parameter.';
