create or replace function bookingdb.require_transition(p_session public.sessions, p_status text)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_earliest interval;
begin
    select t.earliest
    into v_earliest
    from unnest(bookingdb.transitions()) as t
    where t.old_status = p_session.status and t.new_status = p_status
    limit 1;
    if not found then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status
        ));
    end if;

    -- A session before its start has neither taken place nor been missed. A therapist may begin it a little early.
    if p_session.start_time > clock_timestamp() + v_earliest then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status,
            'start_time', bookingdb.iso_utc(p_session.start_time)
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_transition(public.sessions, text) is
'Refuses a status that the table of transitions does not allow, or not yet. Caller holds: the lock of the session''s row. Raises: invalid_transition.';
