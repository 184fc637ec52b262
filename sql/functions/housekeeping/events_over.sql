create or replace function bookingdb.events_over(p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select e.ctid
    from bookingdb.outbox as e
    where e.handled_at < p_before
    order by e.handled_at
    limit p_limit;
end;
$function$;

comment on function bookingdb.events_over(timestamptz, integer) is
'Returns where events are that were handled before p_before. At most p_limit (NULL: all).';
