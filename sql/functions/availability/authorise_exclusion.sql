create or replace function bookingdb.authorise_exclusion(p_session_id uuid)
returns void
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
    -- The answer tells when the session is.
    perform bookingdb.authorise_for_session(v_session);
end;
$function$;

comment on function bookingdb.authorise_exclusion(uuid) is
'Lets callers ask what is free without a session in which they have a part. Raises: session_not_found.';
