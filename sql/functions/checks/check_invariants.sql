create or replace function bookingdb.check_invariants()
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
    -- The tables themselves are read (see the settings above): a corrupt index would hide the rows that its constraint
    -- missed. No table may therefore be read once for each row of another one.

    -- 1. No two calendar rows of one therapist overlap in blocked, none of one client in period. Each row is compared
    -- with the latest end before it.
    return query
    select 1, o.id, 'overlaps another calendar row of the ' || o.part, jsonb_build_object(
        'person_id', o.person_id, 'other_id', o.other_id
    )
    from (
        select 'therapist' as part, c.therapist_id as person_id, c.id, c.blocked as taken,
            lag(c.id) over w as other_id,
            max(upper(c.blocked)) over (w rows between unbounded preceding and 1 preceding) as taken_until
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold') and c.therapist_id is not null
        window w as (partition by c.therapist_id order by lower(c.blocked), c.id)
        union all
        select 'client', c.client_id, c.id, c.period,
            lag(c.id) over w,
            max(upper(c.period)) over (w rows between unbounded preceding and 1 preceding)
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold') and c.client_id is not null
        window w as (partition by c.client_id order by lower(c.period), c.id)
    ) as o
    where lower(o.taken) < o.taken_until;

    -- 2. Each session that takes place has exactly one calendar row, with its people and times; no other session has
    -- one. (Two are impossible: the row has the session's id.) A session in overlapping_sessions has its stand-in.
    return query
    select 2, coalesce(s.id, c.id, o.session_id),
        case
            when s.id is null and c.id is null then 'record of an overlapping session that does not take place'
            when c.id is null then 'session has no calendar row'
            when s.id is null then 'calendar row without a session that takes place'
            when (c.kind = 'external') is distinct from (o.session_id is not null)
                then 'calendar row stands in for a session that is not recorded as overlapping, or the other way round'
            else 'calendar row differs from its session'
        end,
        jsonb_build_object('session_status', s.status)
    from (
        -- has_place_in_time(), spelled out: over all sessions a call costs 3 microseconds a row, this 0.3.
        select t.id, t.status, t.therapist_id, t.user_id, t.start_time, t.end_time
        from public.sessions as t
        where t.status = any (array(select o.status from unnest(bookingdb.occupying_statuses()) as o (status)))
            and (t.therapist_id is not null or t.user_id is not null)
            and t.start_time < t.end_time
            and isfinite(t.start_time)
            and isfinite(t.end_time)
    ) as s
    full join (
        select k.id, k.kind, k.therapist_id, k.client_id, k.period, k.blocked
        from bookingdb.calendar as k
        where k.kind = 'session' or (k.kind = 'external' and k.external_source = 'adoption')
    ) as c on c.id = s.id
    full join bookingdb.overlapping_sessions as o on o.session_id = coalesce(s.id, c.id)
    where s.id is null
        or c.id is null
        or (c.kind = 'external') <> (o.session_id is not null)
        or c.therapist_id is distinct from s.therapist_id
        or c.client_id is distinct from s.user_id
        or c.period <> tstzrange(s.start_time, s.end_time)
        or not c.blocked @> c.period
        or (
            o.session_id is not null
            and (o.therapist_id, o.user_id, o.start_time, o.end_time)
            is distinct from (s.therapist_id, s.user_id, s.start_time, s.end_time)
        );

    -- 3. Each lot's balance is not negative, its ledger entries sum to it, and the last of them ends with it.
    return query
    select 3, coalesce(c.id, l.lot_id),
        case
            when c.credits_balance < 0 then 'balance is negative'
            else 'ledger and balance differ'
        end,
        jsonb_build_object(
            'user_id', c.user_id, 'balance', c.credits_balance, 'ledger_sum', l.total, 'ledger_last', l.last_balance
        )
    from public.user_credits as c
    full join (
        select e.lot_id, sum(e.amount) as total, (array_agg(e.balance_after order by e.id desc))[1] as last_balance
        from bookingdb.ledger as e
        group by e.lot_id
    ) as l on l.lot_id = c.id
    where c.credits_balance < 0
        or coalesce(c.credits_balance, 0) <> coalesce(l.total, 0)
        or coalesce(c.credits_balance, 0) <> coalesce(l.last_balance, 0);

    -- 3. Each ledger entry begins with the balance that the one before it left.
    return query
    select 3, e.lot_id, 'ledger entries do not chain', jsonb_build_object('entry_id', e.id)
    from (
        select l.id, l.lot_id, l.kind, l.amount, l.balance_after,
            lag(l.balance_after) over (partition by l.lot_id order by l.id) as balance_before
        from bookingdb.ledger as l
    ) as e
    where e.balance_after <> coalesce(e.balance_before, 0)::bigint + e.amount
        -- An opening balance is the lot's first entry.
        or (e.kind = 'opening' and e.balance_before is not null);

    -- 4. Each session has at most one debit and one refund, the refund after the debit and in its lot or grace lot. A
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

    -- 5. The audit rows of a session chain without a gap from its creation, or its last adoption, to its current
    -- status. Earlier rows are the application's own.
    return query
    select 5, coalesce(s.id, a.session_id),
        case when a.session_id is null then 'session has no audit row' else 'audit rows do not chain' end,
        jsonb_build_object('audit_id', a.id, 'old_status', a.old_status, 'new_status', a.new_status)
    from (
        select b.id, b.session_id, b.old_status, b.new_status,
            lag(b.new_status) over w as previous_status,
            lead(b.entry) over w is null as is_last
        from (
            select l.id, l.session_id, l.old_status, l.new_status, l.entry,
                coalesce(
                    max(l.entry) filter (where l.action = 'adopted') over (partition by l.session_id),
                    -- A session that was gone by the adoption has only rows of the application.
                    min(l.entry) filter (where l.action = 'adopted') over ()
                ) as adopted
            from public.booking_audit_log as l
            where l.session_id is not null
        ) as b
        where b.adopted is null or b.entry >= b.adopted
        window w as (partition by b.session_id order by b.entry)
    ) as a
    full join public.sessions as s on s.id = a.session_id
    where a.session_id is null
        or a.old_status is distinct from a.previous_status
        or (a.is_last and a.new_status is distinct from s.status);

    -- 6. Every acknowledged idempotency key still answers with the same session, series or lot, unless that was deleted
    -- on record.
    return query
    select 6, k.result_id, 'what an idempotency key answered is gone', jsonb_build_object(
        'function', k.function_name, 'user_id', k.user_id
    )
    from (
        select i.function_name, i.user_id, i.result_id
        from bookingdb.idempotency_keys as i
        where i.function_name not in ('grant_credits', 'adjust_credits', 'hold_slot', 'book_series')
            and not exists (select from public.sessions as s where s.id = i.result_id)
            and not exists (
                select from public.booking_audit_log as a
                where a.session_id = i.result_id and a.action = 'deleted'
            )
        union all
        select i.function_name, i.user_id, i.result_id
        from bookingdb.idempotency_keys as i
        where i.function_name = 'book_series'
            and not exists (select from public.sessions as s where s.series_id = i.result_id)
            and not exists (
                select from public.booking_audit_log as a
                where a.user_id = i.user_id and a.action = 'deleted'
            )
        union all
        select i.function_name, i.user_id, i.result_id
        from bookingdb.idempotency_keys as i
        where i.function_name in ('grant_credits', 'adjust_credits')
            and not exists (select from public.user_credits as c where c.id = i.result_id)
            and not exists (
                select from bookingdb.ledger as l
                where l.lot_id = i.result_id and l.kind = 'direct' and l.balance_after = 0
            )
    ) as k;
end;
$function$;

comment on function bookingdb.check_invariants() is
'Returns a row for each violation of what must always hold (docs/how-it-works.md): the invariant, the session, lot or calendar row, the problem, its context. Reads every row: not for requests.';
