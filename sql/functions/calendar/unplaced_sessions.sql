create or replace function bookingdb.unplaced_sessions()
returns setof public.sessions
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select s.*
    from public.sessions as s
    where s.status = any (array(select o.status from unnest(bookingdb.occupying_statuses()) as o (status)))
        and not exists (
            select from bookingdb.calendar as c
            where c.id = s.id and c.kind = 'session'
        )
        -- Housekeeping removed the rows of sessions that were over long ago.
        and (
            bookingdb.has_place_in_time(s)
            and s.end_time <= clock_timestamp()
            and not exists (select from bookingdb.overlapping_sessions as o where o.session_id = s.id)
        ) is not true;
end;
$function$;

comment on function bookingdb.unplaced_sessions() is
'Returns sessions that take place without a calendar row of their own: those that direct writers left without people or a valid time, and overlapping_sessions, whose time stays blocked.';
