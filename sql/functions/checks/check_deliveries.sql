create or replace function bookingdb.check_deliveries()
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
    return query
    select 12, l.subject_id,
        case
            when l.next_count <> 1 then 'line of deliveries has not one that is next'
            else 'delivery is next before an older one'
        end,
        jsonb_build_object('destination_id', l.destination_id, 'recipient_id', l.recipient_id, 'next', l.next_count)
    from (
        select d.destination_id, d.subject_id, d.recipient_id,
            count(*) filter (where d.is_next) as next_count,
            min(array[coalesce(d.event_id, 0), d.part]) as oldest,
            min(array[coalesce(d.event_id, 0), d.part]) filter (where d.is_next) as next_place,
            bool_or(d.token is not null) as is_claimed
        from bookingdb.deliveries as d
        where d.status = 'pending'
        group by d.destination_id, d.subject_id, d.recipient_id
    ) as l
    -- One that is being sent stays next, also when an older one is to be sent again.
    where l.next_count <> 1 or (l.next_place <> l.oldest and not l.is_claimed);
end;
$function$;

comment on function bookingdb.check_deliveries() is
'Invariant 12: returns the lines of unfinished deliveries in which not exactly the oldest is next.';
