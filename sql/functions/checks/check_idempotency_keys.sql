create or replace function bookingdb.check_idempotency_keys()
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
    -- Every acknowledged idempotency key still answers with the same session, series or lot, unless that was deleted
    -- on record.
    return query
    select 6, k.result_id, 'what an idempotency key answered is gone', jsonb_build_object(
        'function', k.function_name, 'user_id', k.user_id
    )
    from (
        select i.function_name, i.user_id, i.result_id
        from bookingdb.idempotency_keys as i
        where i.function_name not in (
                'grant_credits', 'grant_package', 'adjust_credits', 'transfer_credits', 'hold_slot', 'book_series'
            )
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
        where i.function_name in ('grant_credits', 'grant_package', 'adjust_credits', 'transfer_credits')
            and not exists (select from public.user_credits as c where c.id = i.result_id)
            and not exists (
                select from bookingdb.ledger as l
                where l.lot_id = i.result_id and l.kind = 'direct' and l.balance_after = 0
            )
    ) as k;
end;
$function$;

comment on function bookingdb.check_idempotency_keys() is
'Invariant 6: returns the results that an idempotency key answers with and that are gone.';
