create or replace function bookingdb.notices_over(p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select n.ctid
    from bookingdb.expiry_notices as n
    where n.expires_at < p_before
    limit p_limit;
end;
$function$;

comment on function bookingdb.notices_over(timestamptz, integer) is
'Returns where notices are of lots that ended before p_before. At most p_limit (NULL: all).';
