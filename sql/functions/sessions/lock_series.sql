create or replace function bookingdb.lock_series(p_session_id uuid, p_function_name text)
returns public.sessions[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_ids uuid[];
begin
    perform bookingdb.authorise_anyone();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;

    -- Callers without a part in the session cannot lock it.
    v_session := bookingdb.find_session(p_session_id);
    if v_session.series_id is null then
        return array[bookingdb.lock_session(p_session_id)];
    end if;

    -- All rows of the series are locked, by id as everywhere: which of them are later may change during the wait.
    -- Each is a look-up of its own: sorted by their ids, Postgres would rather read the index of all sessions.
    v_ids := array(
        select i.id
        from (select s.id from public.sessions as s where s.series_id = v_session.series_id offset 0) as i
        order by i.id
    );
    perform bookingdb.lock_sessions(v_ids);
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id;
    if not found or p_session_id <> all (v_ids) then
        perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
    end if;
    -- The session may have got other people during the wait.
    perform bookingdb.authorise_for_session(v_session);

    return array[v_session] || array(
        select l.session
        from unnest(v_ids) as i (id)
        -- offset 0 makes each session a look-up by its id.
        cross join lateral (
            select s as session
            from public.sessions as s
            where s.id = i.id
            offset 0
        ) as l
        where i.id <> p_session_id
            and (l.session).series_id = v_session.series_id
            and (l.session).start_time >= v_session.start_time
            -- A session of the series that passed to other people is theirs.
            and case
                when bookingdb.caller_is_trusted()
                    or bookingdb.actor_id() in ((l.session).user_id, (l.session).therapist_id)
                    then p_function_name = any (
                        bookingdb.next_actions(l.session, bookingdb.authorise_for_session(l.session))
                    )
                else false
            end
        order by (l.session).start_time, i.id
    );
end;
$function$;

comment on function bookingdb.lock_series(uuid, text) is
'Locks a session and its series, and returns it with the later ones to which the caller may do the same (p_function_name), by start. Raises: invalid_session_id, session_not_found.';
