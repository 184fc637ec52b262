create or replace function bookingdb.lapsed_sessions(p_limit integer)
returns setof uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An index of what expires would cost every booking, which expires never.
    return query
    select c.id
    from bookingdb.therapists_in_calendar() as t (id)
    cross join lateral (
        select k.id
        from bookingdb.calendar as k
        where k.therapist_id = t.id
            and k.kind in ('session', 'hold')
            and k.kind = 'session'
            and k.expires_at <= clock_timestamp()
        offset 0
    ) as c
    limit p_limit;
end;
$function$;

comment on function bookingdb.lapsed_sessions(integer) is
'Returns sessions that waited for approval too long. At most p_limit (NULL: all).';
