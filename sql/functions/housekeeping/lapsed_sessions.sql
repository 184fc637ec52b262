create or replace function bookingdb.lapsed_sessions(p_limit integer)
returns setof uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    return query
    select s.id
    from public.sessions as s
    where s.approval_until <= v_now and s.status = 'pending_approval'
    limit p_limit;
end;
$function$;

comment on function bookingdb.lapsed_sessions(integer) is
'Returns sessions that waited for approval too long. At most p_limit (NULL: all).';
