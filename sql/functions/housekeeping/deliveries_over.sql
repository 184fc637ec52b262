create or replace function bookingdb.deliveries_over(p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select d.ctid
    from bookingdb.deliveries as d
    where d.finished_at < p_before
    order by d.finished_at
    limit p_limit;
end;
$function$;

comment on function bookingdb.deliveries_over(timestamptz, integer) is
'Returns where deliveries are that were finished before p_before. At most p_limit (NULL: all).';
