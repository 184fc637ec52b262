create or replace function bookingdb.require_wait(p_session public.sessions, p_status text)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_session.approval_until <= clock_timestamp() then
        perform bookingdb.raise_error('invalid_transition', jsonb_strip_nulls(jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status, 'reason', 'lapsed',
            'approval_until', bookingdb.iso_utc(p_session.approval_until)
        )));
    end if;
end;
$function$;

comment on function bookingdb.require_wait(public.sessions, text) is
'Refuses a session that waited for approval too long. Caller holds: the locks of its row and both people. Raises: invalid_transition.';
