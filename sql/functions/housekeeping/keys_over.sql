create or replace function bookingdb.keys_over(p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    return query
    select k.ctid
    from bookingdb.idempotency_keys as k
    where k.created_at < p_before
        -- A repeated payment would grant again: such a key stays as long as the ledger, unless the payment's reference
        -- guards the lot, too. (offset 0 makes each of these a look-up for one key.)
        and k.function_name not in ('adjust_credits', 'transfer_credits')
        and (
            k.function_name not in ('grant_credits', 'grant_package')
            or exists (
                select from public.user_credits as c
                where c.id = k.result_id and c.payment_reference is not null
                offset 0
            )
        )
        -- A repeated booking of a time to come would book it again.
        and not exists (
            select from public.sessions as s
            where s.id = k.result_id and (s.end_time > v_now) is not false
            offset 0
        )
        and not exists (
            select from public.sessions as s
            where s.series_id = k.result_id and (s.end_time > v_now) is not false
            offset 0
        )
        -- The retry asks for the time that was booked first: a session that was moved away from it left it free.
        and not exists (
            select from public.booking_audit_log as a
            where a.session_id = k.result_id
                and (a.changes #>> '{start_time,old}')::timestamptz > v_now
            offset 0
        )
        and not exists (
            select from public.sessions as s
            inner join public.booking_audit_log as a on a.session_id = s.id
            where s.series_id = k.result_id
                and (a.changes #>> '{start_time,old}')::timestamptz > v_now
            offset 0
        )
        and not exists (
            select from bookingdb.holds as h
            where h.id = k.result_id and h.end_time > v_now
            offset 0
        )
    order by k.created_at
    limit p_limit;
end;
$function$;

comment on function bookingdb.keys_over(timestamptz, integer) is
'Returns where idempotency keys are that can go: older than p_before, and neither of a session, series or hold to come nor of credits. At most p_limit (NULL: all).';
