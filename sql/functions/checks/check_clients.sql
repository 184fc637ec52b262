create or replace function bookingdb.check_clients()
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
    -- A lot with credits belongs to the client of its last ledger entry.
    return query
    select 7, c.id, 'lot belongs to another client than its last ledger entry', jsonb_build_object(
        'user_id', c.user_id, 'ledger_user_id', l.last_user_id, 'balance', c.credits_balance
    )
    from public.user_credits as c
    inner join (
        select e.lot_id, (array_agg(e.user_id order by e.id desc))[1] as last_user_id
        from bookingdb.ledger as e
        group by e.lot_id
    ) as l on l.lot_id = c.id
    -- An empty lot that is moved moves no credit.
    where c.user_id <> l.last_user_id and c.credits_balance <> 0;

    -- Before a lot passes on to another client, the entries of the first take all credits out of it.
    return query
    select 7, e.lot_id, 'ledger entries pass the lot on with credits in it', jsonb_build_object('entry_id', e.id)
    from (
        select l.id, l.lot_id, l.user_id,
            lag(l.user_id) over w as user_before,
            lag(l.balance_after) over w as balance_before
        from bookingdb.ledger as l
        window w as (partition by l.lot_id order by l.id)
    ) as e
    where e.user_id <> e.user_before and e.balance_before <> 0;

    -- A session's entries are those of its client, or of one that it had on record.
    return query
    select 7, e.session_id, 'ledger entry names a client that the session never had', jsonb_build_object(
        'entry_id', e.id, 'user_id', e.user_id
    )
    from bookingdb.ledger as e
    where exists (select from public.booking_audit_log as a where a.session_id = e.session_id)
        and not exists (select from public.sessions as s where s.id = e.session_id and s.user_id = e.user_id)
        and not exists (
            select from public.booking_audit_log as a where a.session_id = e.session_id and a.user_id = e.user_id
        );

    -- The last audit row of a session names its client, if it names anybody.
    return query
    select 7, s.id, 'last audit row names another client than the session', jsonb_build_object(
        'user_id', s.user_id, 'audit_user_id', a.last_user_id
    )
    from public.sessions as s
    inner join (
        select l.session_id, (array_agg(l.user_id order by l.entry desc))[1] as last_user_id
        from public.booking_audit_log as l
        group by l.session_id
    ) as a on a.session_id = s.id
    where a.last_user_id is not null and a.last_user_id is distinct from s.user_id;

    -- An idempotency key answers its client with what was theirs. A session without a client has keys under its own id.
    return query
    select distinct 7, k.result_id, 'idempotency key answers with what another client has', jsonb_build_object(
        'function', k.function_name, 'user_id', k.user_id
    )
    from (
        select i.function_name, i.user_id, i.result_id, s.id as session_id
        from bookingdb.idempotency_keys as i
        inner join public.sessions as s on s.id = i.result_id
        where i.function_name not in (
                'grant_credits', 'grant_package', 'adjust_credits', 'transfer_credits', 'hold_slot', 'book_series'
            )
            and i.user_id is distinct from s.user_id
            and i.user_id <> s.id
        union all
        select i.function_name, i.user_id, i.result_id, s.id
        from bookingdb.idempotency_keys as i
        inner join public.sessions as s on s.series_id = i.result_id
        where i.function_name = 'book_series' and i.user_id is distinct from s.user_id
    ) as k
    where not exists (
        select from public.booking_audit_log as a where a.session_id = k.session_id and a.user_id = k.user_id
    );

    return query
    select 7, i.result_id, 'idempotency key answers with what another client has', jsonb_build_object(
        'function', i.function_name, 'user_id', i.user_id
    )
    from bookingdb.idempotency_keys as i
    inner join public.user_credits as c on c.id = i.result_id
    where i.function_name in ('grant_credits', 'grant_package', 'adjust_credits', 'transfer_credits')
        and i.user_id <> c.user_id
        and not exists (select from bookingdb.ledger as l where l.lot_id = i.result_id and l.user_id = i.user_id)
        -- An empty lot passes on without an entry.
        and not exists (select from bookingdb.merged_people as m where m.from_user_id = i.user_id);
end;
$function$;

comment on function bookingdb.check_clients() is
'Invariant 7: returns the lots, ledger entries, sessions and idempotency keys that contradict each other about the client.';
