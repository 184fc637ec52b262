create or replace function bookingdb.refusals_over(p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.ctid
    from bookingdb.refusals as r
    where r.refused_at < p_before
    order by r.refused_at
    limit p_limit;
end;
$function$;

comment on function bookingdb.refusals_over(timestamptz, integer) is
'Returns where refusals are that were recorded before p_before. At most p_limit (NULL: all).';
