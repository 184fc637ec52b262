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
    -- Each session has at most one debit and one refund, the refund after the debit and in its lot or grace lot. A
    -- session that bookingdb booked has its debit.
    return query
    select 4, e.session_id, 'more than one debit or refund', jsonb_build_object('kind', e.kind, 'entries', count(*))
    from bookingdb.ledger as e
    where e.session_id is not null
    group by e.session_id, e.kind
    having count(*) > 1;

    return query
    select 4, r.session_id, 'refund without an earlier debit of the same lot', jsonb_build_object('entry_id', r.id)
    from bookingdb.ledger as r
    left join public.user_credits as g on g.id = r.lot_id
    where r.kind = 'refund'
        and not exists (
            select from bookingdb.ledger as d
            where d.session_id = r.session_id
                and d.kind = 'debit'
                and (
                    d.lot_id = r.lot_id
                    or d.lot_id = g.grace_for_lot_id
                    -- The refund opened a grace lot that was deleted since.
                    or (g.id is null and r.balance_after = r.amount)
                )
                and d.id < r.id
                and d.amount = -r.amount
        );

    return query
    select 4, s.id, 'booked session without a debit', jsonb_build_object('user_id', s.user_id)
    from public.sessions as s
    where s.credits_charged > 0
        and not exists (
            select from bookingdb.ledger as d
            where d.session_id = s.id and d.kind = 'debit' and d.amount = -s.credits_charged
        );

    return query
    select 4, d.session_id, 'debit for a session that never was', jsonb_build_object('entry_id', d.id)
    from bookingdb.ledger as d
    where d.kind = 'debit'
        and not exists (select from public.sessions as s where s.id = d.session_id)
        and not exists (select from public.booking_audit_log as a where a.session_id = d.session_id);
end;
$function$;

comment on function bookingdb.check_charges() is
'Invariant 4: returns the sessions whose debits and refunds in the ledger are missing or too many.';
