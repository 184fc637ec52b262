create or replace function bookingdb.find_session(p_session_id uuid)
returns public.sessions
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
begin
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id;
    if not found then
        perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
    end if;
    perform bookingdb.authorise_for_session(v_session);
    return v_session;
end;
$function$;

comment on function bookingdb.find_session(uuid) is
'Returns a session to a caller who has a part in it. Raises: session_not_found.';
