create or replace function bookingdb.claimable_deliveries(
    p_limit integer,
    p_destinations text[],
    p_kinds text[],
    p_delivery_id uuid
)
returns setof uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_bitmapscan = off
as $function$
declare
    -- A condition with a volatile function is looked up in no index.
    v_now constant timestamptz := clock_timestamp();
    v_ids uuid[];
begin
    if p_delivery_id is not null then
        return query
        select l.id
        from bookingdb.deliveries as l
        inner join bookingdb.destinations as d on d.id = l.destination_id and d.is_enabled
        where l.id = p_delivery_id
            and l.is_next
            and l.due_at <= v_now
            and (p_destinations is null or d.name = any (p_destinations))
            and (p_kinds is null or d.kind = any (p_kinds))
        for no key update of l skip locked;
        return;
    end if;

    -- Without bitmaps the rows come in the order of the index, and no more are read than are taken. The destination
    -- with the fewest claims under way comes first, so that a slow one does not take every worker. More are found than
    -- asked for, because others may be about to take as many.
    v_ids := array(
        select f.id
        from (
            select d.id as destination_id, (
                select count(*) from bookingdb.deliveries as c where c.destination_id = d.id and c.token is not null
            ) as in_flight
            from bookingdb.destinations as d
            where d.is_enabled
                and (p_destinations is null or d.name = any (p_destinations))
                and (p_kinds is null or d.kind = any (p_kinds))
        ) as n
        cross join lateral (
            select x.id, x.due_at, row_number() over (order by x.due_at) as place
            from (
                select q.id, q.due_at
                from bookingdb.deliveries as q
                where q.destination_id = n.destination_id
                    and q.is_next
                    and q.due_at <= v_now
                order by q.due_at
                limit 4 * p_limit
            ) as x
        ) as f
        order by n.in_flight + f.place, f.due_at
        limit 4 * p_limit
    );
    return query
    select l.id
    from unnest(v_ids) with ordinality as c (id, place)
    inner join bookingdb.deliveries as l on l.id = c.id
    where l.is_next and l.due_at <= v_now
    order by c.place
    limit p_limit
    for no key update of l skip locked;
end;
$function$;

comment on function bookingdb.claimable_deliveries(integer, text[], text[], uuid) is
'Locks and returns up to p_limit deliveries that are due, and that nobody else is about to take.';
