create or replace function bookingdb.check_charges()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
begin
    -- A part of a session's charge is taken once, and returned once, after it was taken, to its lot or grace lot.
    return query
    select 4, e.session_id, 'part of a charge taken or returned more than once', jsonb_build_object(
        'charge', e.charge, 'part', e.part, 'entries', count(*)
    )
    from bookingdb.ledger as e
    where e.session_id is not null
    group by e.session_id, e.charge, e.part, e.kind = 'debit'
    having count(*) > 1;

    return query
    select 4, r.session_id, r.kind || ' without an earlier debit of the same lot', jsonb_build_object('entry_id', r.id)
    from bookingdb.ledger as r
    left join public.user_credits as g on g.id = r.lot_id
    where (r.kind in ('refund', 'goodwill') or (r.session_id is not null and r.kind <> 'debit'))
        and not exists (
            select from bookingdb.ledger as d
            where d.session_id = r.session_id
                and d.kind = 'debit'
                and d.charge = r.charge
                and d.part = r.part
                and (
                    d.lot_id = r.lot_id
                    or d.lot_id = g.grace_for_lot_id
                    -- The return opened a grace lot that was deleted since.
                    or (g.id is null and r.balance_after = r.amount)
                )
                and d.id < r.id
                and d.amount = -r.amount
        );

    -- A session is charged again only when its last charge was returned. So at most one charge is not.
    return query
    select 4, c.session_id, 'charged again before the last charge was returned', jsonb_build_object('charge', c.charge)
    from (
        select e.session_id, e.charge, sum(e.amount) as balance, max(e.id) as last_id,
            lead(min(e.id)) over (partition by e.session_id order by e.charge) as next_id
        from bookingdb.ledger as e
        where e.session_id is not null
        group by e.session_id, e.charge
    ) as c
    where c.next_id is not null and (c.balance < 0 or c.next_id < c.last_id);

    -- A session that bookingdb booked has its debits: they sum to what its last charge took.
    return query
    select 4, s.id, 'booked session without a debit', jsonb_build_object('user_id', s.user_id)
    from public.sessions as s
    left join (
        select distinct on (e.session_id) e.session_id, -sum(e.amount) as credits
        from bookingdb.ledger as e
        where e.kind = 'debit'
        group by e.session_id, e.charge
        order by e.session_id asc, e.charge desc
    ) as c on c.session_id = s.id
    where s.credits_charged > 0 and s.credits_charged <> coalesce(c.credits, 0);

    return query
    select 4, d.session_id, 'debit for a session that never was', jsonb_build_object('entry_id', d.id)
    from bookingdb.ledger as d
    where d.kind = 'debit'
        and not exists (select from public.sessions as s where s.id = d.session_id)
        and not exists (select from public.booking_audit_log as a where a.session_id = d.session_id);
end;
$function$;

comment on function bookingdb.check_charges() is
'Invariant 4: returns the sessions whose debits and returns in the ledger are missing, too many or out of order.';
