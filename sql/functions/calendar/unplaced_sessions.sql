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
        );
end;
$function$;

comment on function bookingdb.unplaced_sessions() is
'Sessions that say they take place but have no place of their own in the calendar: nobody''s, without an end, or ending before they start, which only direct writers can make and which block nobody; and those that overlapped others when the database was adopted (overlapping_sessions), whose time is not booked over.';
