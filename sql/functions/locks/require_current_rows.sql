create or replace function bookingdb.require_current_rows(p_session_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Postgres itself raises 40001 for a row that another transaction deleted or changed since the snapshot. A session
    -- that was deleted and is inserted again has both rows in it, the old and the new.
    perform s.id
    from public.sessions as s
    where s.id = any (p_session_ids)
    order by s.id
    for key share;
    perform c.id
    from bookingdb.calendar as c
    where c.id = any (p_session_ids)
    order by c.id
    for key share;
    perform a.id
    from bookingdb.absences as a
    where a.id = any (p_session_ids)
    order by a.id
    for key share;
end;
$function$;

comment on function bookingdb.require_current_rows(uuid[]) is
'Proves to a REPEATABLE READ or SERIALIZABLE transaction that these sessions and their calendar rows are as its snapshot shows them.';
