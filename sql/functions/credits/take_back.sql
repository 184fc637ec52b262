create or replace function bookingdb.take_back(
    p_lot_id uuid,
    p_family uuid[],
    p_share numeric,
    p_reason text
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_is_whole constant boolean := p_share >= 1;
    v_missing bigint;
    v_owing bigint;
    v_lot record;
    v_taken integer;
    v_owed bigint;
begin
    -- 1. Credits that are over are not there to be taken.
    perform bookingdb.post_expiry(c)
    from public.user_credits as c
    where c.id = any (p_family) and c.status = 'active' and c.expires_at <= v_now;

    -- 2. What is to be revoked, and was not revoked before. Rounded, because a third of 3 credits is one, however many
    -- digits the share has. A lot that was written directly may not say what was bought.
    select greatest(0, floor(round(greatest(0, coalesce(
        nullif(c.credits_purchased, 0),
        (select l.amount from bookingdb.ledger as l where l.lot_id = c.id order by l.id limit 1)
    )) * p_share, 6)) + (
        select coalesce(sum(l.amount), 0)
        from bookingdb.ledger as l
        where l.lot_id = any (p_family) and l.kind in ('revocation', 'reinstatement')
    ))
    into v_missing
    from public.user_credits as c
    where c.id = p_lot_id;

    for v_lot in
        select
            a.*, u.spent, u.expired,
            -- 3. What cannot be taken, because it was spent or has expired, is owed. Each call says so anew: what came
            -- back to another lot since is taken now. A lot that was revoked itself owes what was spent of it anyway.
            greatest(0, v_missing - sum(a.available + case a.status when 'revoked' then a.credits_owed else 0 end)
            over ()) as owing
        from (
            select c.*,
                case
                    when v_is_whole or c.status in ('frozen', 'active') then c.credits_balance
                    else 0
                end as available
            from public.user_credits as c
            where c.id = any (p_family)
        ) as a
        cross join lateral (
            select
                coalesce(-sum(l.amount) filter (
                    where l.kind = 'debit'
                        and not exists (
                            select from bookingdb.ledger as r
                            where r.session_id = l.session_id
                                and r.charge = l.charge
                                and r.part = l.part
                                and r.kind in ('refund', 'goodwill')
                        )
                ), 0) as spent,
                greatest(0, coalesce(-sum(l.amount) filter (where l.kind in ('expiry', 'extension')), 0)) as expired
            from bookingdb.ledger as l
            where l.lot_id = a.id
        ) as u
        order by a.priority, a.expires_at asc nulls last, a.category desc, a.created_at, a.id
    loop
        v_owing := coalesce(v_owing, v_lot.owing);
        if v_is_whole then
            v_taken := v_lot.credits_balance;
            v_owed := v_lot.spent;
        else
            v_taken := least(v_lot.available, v_missing);
            v_missing := v_missing - v_taken;
            v_owed := v_lot.credits_owed;
            if v_lot.status <> 'revoked' then
                v_owed := least(v_owing, v_lot.spent + v_lot.expired + v_lot.credits_balance - v_lot.available);
                v_owing := v_owing - v_owed;
            end if;
        end if;
        v_owed := least(v_owed, 2147483647);

        if v_taken > 0 or (v_is_whole and v_lot.status <> 'revoked') then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (
                v_lot.user_id, v_lot.id, 'revocation', -v_taken, v_lot.credits_balance - v_taken, bookingdb.actor(),
                p_reason
            );
            perform bookingdb.write_credits_event('credits.revoked', v_lot.user_id, v_lot.id, -v_taken);
        elsif v_owed = v_lot.credits_owed then
            continue;
        end if;
        update public.user_credits as c
        set credits_balance = c.credits_balance - v_taken,
            credits_owed = v_owed,
            revoked_at = case when v_is_whole and c.status <> 'revoked' then v_now else c.revoked_at end,
            status = case
                when v_is_whole then 'revoked'
                when c.status = 'active' and c.credits_balance = v_taken then 'used'
                else c.status
            end,
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.take_back(uuid, uuid[], numeric, text) is
'Revokes this share (1: all) of what was bought as a lot, from the lots of its family; notes what was spent as credits_owed. Repeating it is harmless. Caller holds: the locks of lock_family().';
