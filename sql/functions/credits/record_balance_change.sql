create or replace function bookingdb.record_balance_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_lot_id uuid;
    v_posted integer;
    v_posted_user_id uuid;
    v_balance integer;
    v_user_id uuid;
begin
    -- A function of bookingdb wrote the ledger first: nothing is left to do. (One test: each costs a booking 3 thousand
    -- instructions.)
    if tg_op = 'UPDATE' then
        if new.id = old.id
            and (new.status = 'active' or (new.status = 'used' and new.credits_balance = 0))
            and new.frozen_at is null
            and (
                select l.balance_after = new.credits_balance and l.user_id = new.user_id
                from bookingdb.ledger as l
                where l.lot_id = new.id
                order by l.id desc
                limit 1
            ) then
            return null;
        end if;
    end if;

    v_lot_id := coalesce(new.id, old.id);
    if new.id <> old.id then
        raise exception using
            errcode = 'integrity_constraint_violation', message = 'The id of a lot of credits cannot be changed';
    end if;

    if tg_op = 'INSERT' and current_setting('transaction_isolation') <> 'read committed' then
        -- Somebody may have deleted a lot of this id since the snapshot, and with it its balance: Postgres itself then
        -- raises 40001. (A lot that was there when it was written is current.)
        perform c.id
        from public.user_credits as c
        where c.id = v_lot_id
        for key share;
    end if;

    select l.balance_after, l.user_id
    into v_posted, v_posted_user_id
    from bookingdb.ledger as l
    where l.lot_id = v_lot_id
    order by l.id desc
    limit 1;

    -- The same of a lot that is new or in another status, unless it is frozen.
    if v_posted = new.credits_balance and v_posted_user_id = new.user_id
        and (new.status <> 'used' or new.credits_balance = 0)
        and new.status <> 'frozen'
        and new.frozen_at is null then
        -- A client who is merged in an older snapshot would leave this lot behind, or get it after they were merged.
        if tg_op = 'INSERT' then
            if current_setting('transaction_isolation') <> 'read committed' then
                perform bookingdb.require_current_rules(array[new.user_id]);
            end if;
            perform bookingdb.mark_rules_changed(array[new.user_id]);
        end if;
        return null;
    end if;

    -- Somebody wrote the row directly. The row as it stands counts: an application's own triggers may have changed it
    -- since.
    select c.credits_balance, c.user_id
    into v_balance, v_user_id
    from public.user_credits as c
    where c.id = v_lot_id;

    v_posted := coalesce(v_posted, 0);
    v_balance := coalesce(v_balance, 0);

    if v_posted <> 0 and v_posted_user_id <> v_user_id then
        insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
        values (v_posted_user_id, v_lot_id, 'direct', -v_posted, 0, bookingdb.actor());
        v_posted := 0;
    end if;
    if v_balance <> v_posted then
        insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
        values (
            coalesce(v_user_id, v_posted_user_id), v_lot_id, 'direct', v_balance - v_posted, v_balance,
            bookingdb.actor()
        );
    end if;

    -- A lot that was emptied leaves the index in which a booking looks for credits. One with credits in it comes back,
    -- once: an application's trigger may insist on its status. Our functions write the status themselves.
    if tg_op = 'INSERT' or (
        tg_op = 'UPDATE'
        and ((old.credits_balance = 0) <> (v_balance = 0) or (v_balance > 0 and old.status <> 'used'))
    ) then
        update public.user_credits as c
        set status = case c.credits_balance when 0 then 'used' else 'active' end
        where c.id = v_lot_id
            and c.status = case c.credits_balance when 0 then 'active' else 'used' end
            and (c.credits_balance > 0 or tg_op = 'UPDATE');
    end if;

    -- The time of a lot stands still while it is frozen, also by a direct writer (freeze_lot, thaw_lot).
    if new.status = 'frozen' and new.frozen_at is null then
        update public.user_credits as c
        set frozen_at = clock_timestamp()
        where c.id = v_lot_id and c.status = 'frozen' and c.frozen_at is null;
    elsif new.status not in ('frozen', 'revoked') and new.frozen_at is not null then
        -- (One that was revoked meanwhile is frozen again when it is reinstated.)
        update public.user_credits as c
        set frozen_at = null,
            expires_at = case
                when tg_op = 'UPDATE' and old.expires_at = c.expires_at
                    then bookingdb.thawed_end(c)
                else c.expires_at
            end
        where c.id = v_lot_id and c.status not in ('frozen', 'revoked') and c.frozen_at is not null;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.record_balance_change() is
'Trigger on public.user_credits, per row: gives a balance that was written directly its ledger entry, of kind direct, and the lot its status; stops and moves on its time where it was frozen.';
