create or replace function bookingdb.try_lock_sessions(p_session_ids uuid[], p_awaited_id uuid)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_id uuid;
begin
    -- No block of its own stands around the locks. Postgres lets those who wait for what a block locked wait for the
    -- whole transaction once that block ended: undoing the caller's block would leave them waiting, and then for us.
    perform s.id
    from public.sessions as s
    where s.id = p_awaited_id
    for update;
    foreach v_id in array p_session_ids loop
        perform s.id
        from public.sessions as s
        where s.id = v_id
        for update skip locked;
        if not found and exists (select from public.sessions as s where s.id = v_id) then
            return v_id;
        end if;
    end loop;
    return null;
end;
$function$;

comment on function bookingdb.try_lock_sessions(uuid[], uuid) is
'Waits for one session (NULL for none) and locks the others as they are free. Returns the first that is not: the caller undoes its block, to let go of the others, and waits for that one.';
