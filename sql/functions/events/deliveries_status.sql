-- Public.
create or replace function bookingdb.deliveries_status()
returns setof bookingdb.destination_status
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    perform bookingdb.authorise_trusted();
    return query
    select
        n.name, n.kind, n.is_enabled, n.disabled_reason,
        (
            select count(*)
            from bookingdb.deliveries as d
            where d.destination_id = n.id and d.status = 'pending' and d.event_id is not null
        )::integer,
        (
            select count(*)
            from bookingdb.deliveries as d
            where d.destination_id = n.id and d.is_next and d.due_at <= v_now
        )::integer,
        (
            select count(*)
            from bookingdb.deliveries as d
            where d.destination_id = n.id and d.token is not null
        )::integer,
        (
            select d.occurred_at
            from bookingdb.deliveries as d
            where d.destination_id = n.id and d.status = 'pending' and d.event_id is not null
            order by d.occurred_at
            limit 1
        ),
        (
            select count(*)
            from bookingdb.deliveries as d
            where d.destination_id = n.id and d.status = 'dead'
        )::integer
    from bookingdb.destinations as n
    order by n.name;
end;
$function$;

comment on function bookingdb.deliveries_status() is
'Returns for each destination how many events are still to be delivered (backlog) and since when (oldest), how many deliveries are due now, in flight, and dead. For trusted callers.';
