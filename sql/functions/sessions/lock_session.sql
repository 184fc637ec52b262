create or replace function bookingdb.lock_session(p_session_id uuid)
returns public.sessions
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_is_found boolean;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_anyone();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;

    -- Callers without a part in the session cannot lock it.
    perform bookingdb.find_session(p_session_id);

    -- The row is locked before people, calendar and lots: the order of a direct UPDATE and its triggers. Waiting needs
    -- a subtransaction (to tell lock_timeout by its name), so it is left to the second try.
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id
    for update skip locked;
    if not found then
        begin
            v_lock_timeout := bookingdb.limit_wait();
            select s.*
            into v_session
            from public.sessions as s
            where s.id = p_session_id
            for update;
            v_is_found := found;
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
        if not v_is_found then
            perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
        end if;
        -- The session may have got other people during the wait.
        perform bookingdb.authorise_for_session(v_session);
    end if;
    return v_session;
end;
$function$;

comment on function bookingdb.lock_session(uuid) is
'Locks a session until the transaction ends, for a caller who has a part in it, and returns it. Raises: invalid_session_id, session_not_found, busy.';
