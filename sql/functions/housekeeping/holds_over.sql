create or replace function bookingdb.holds_over(p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select h.ctid
    from bookingdb.holds as h
    where h.created_at < p_before
        and h.end_time < p_before
        -- Its key answers with it.
        and not exists (
            select from bookingdb.idempotency_keys as k
            where k.function_name in ('hold_slot', 'book_hold') and k.user_id = h.user_id and k.result_id = h.id
            offset 0
        )
        and not exists (
            select from bookingdb.calendar as c
            where c.id = h.id and c.kind = 'hold'
            offset 0
        )
    order by h.created_at
    limit p_limit;
end;
$function$;

comment on function bookingdb.holds_over(timestamptz, integer) is
'Returns where holds are that can go: their time was over before p_before, and no key answers with them. At most p_limit (NULL: all).';
