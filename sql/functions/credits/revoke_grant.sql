-- Public.
create or replace function bookingdb.revoke_grant(
    p_lot_id uuid default null,
    p_payment_reference text default null,
    p_reason text default null
)
returns bookingdb.revoked_grant
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_lot public.user_credits;
    v_revoked_id uuid;
    v_lot_ids uuid[];
    v_lock_timeout text;
    v_revoked bookingdb.revoked_grant;
begin
    perform bookingdb.authorise_trusted();

    -- Exactly one of the two names the lot.
    if num_nonnulls(p_lot_id, p_payment_reference) <> 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_lot_id', 'reason', case when p_lot_id is null then 'missing' else 'given_twice' end
        ));
    end if;
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);

    select c.*
    into v_lot
    from public.user_credits as c
    where c.id = p_lot_id or c.payment_reference = p_payment_reference;
    if not found then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
    end if;
    v_revoked_id := v_lot.id;

    -- Its credits may have come back to a client that had it before.
    perform bookingdb.lock_people(array(
        select v_lot.user_id
        union
        select l.user_id
        from bookingdb.ledger as l
        where l.lot_id = v_lot.id
    ));
    -- The grace lots in which its credits came back are revoked, too. The ledger knows them, even where a grace lot
    -- between was deleted.
    with recursive family as (
        select c.id
        from public.user_credits as c
        where c.id = v_lot.id
        union
        select g.id
        from family as f
        cross join lateral (
            select r.lot_id as id
            from bookingdb.ledger as d
            inner join bookingdb.ledger as r
                on r.session_id = d.session_id
                and r.charge = d.charge
                and r.part = d.part
                and r.kind in ('refund', 'goodwill')
                and r.lot_id <> d.lot_id
            where d.lot_id = f.id and d.kind = 'debit'
            -- Not flattened: a hash join would read the whole ledger.
            offset 0
        ) as g
    )
    select array_agg(f.id)
    into v_lot_ids
    from family as f;
    if v_lot_ids is null then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', v_lot.id));
    end if;

    -- Not lock_next_lot(), which locks one lot that can be spent: here all are, even empty, expired and revoked ones.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        for v_lot in
            select c.*
            from public.user_credits as c
            where c.id = any (v_lot_ids)
            order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
            for update
        loop
            if v_lot.credits_balance > 0 then
                insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
                values (
                    v_lot.user_id, v_lot.id, 'revocation', -v_lot.credits_balance, 0, bookingdb.actor(), p_reason
                );
            end if;
            if v_lot.status <> 'revoked' or v_lot.credits_balance > 0 then
                update public.user_credits as c
                set credits_balance = 0,
                    status = 'revoked',
                    updated_at = now()
                where c.id = v_lot.id;
                if not found then
                    perform bookingdb.raise_write_swallowed();
                end if;
                perform bookingdb.write_credits_event(
                    'credits.revoked', v_lot.user_id, v_lot.id, -v_lot.credits_balance
                );
            end if;
        end loop;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    -- The answer comes from the ledger, so that a repeated call says the same.
    select
        v_revoked_id,
        -coalesce(sum(l.amount) filter (where l.kind = 'revocation'), 0),
        -coalesce(sum(l.amount) filter (where l.kind in ('debit', 'refund', 'goodwill')), 0),
        bookingdb.credits_balance(v_lot.user_id)
    into v_revoked
    from bookingdb.ledger as l
    where l.lot_id = any (v_lot_ids);
    return v_revoked;
end;
$function$;

comment on function bookingdb.revoke_grant(uuid, text, text) is
'Takes back what is left of a lot, named by its id or its payment reference (for a chargeback), and returns how much that was and how much had been spent. Repeating it is harmless. For trusted callers. Raises: invalid_parameter, lot_not_found, busy.';
