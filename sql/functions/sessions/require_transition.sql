create or replace function bookingdb.require_transition(p_session public.sessions, p_status text)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The table of transitions: anything else is refused. docs/sessions.md draws it.
    if not exists (
        select from (
            values
            ('pending_approval', 'scheduled'),
            ('pending_approval', 'cancelled'),
            ('scheduled', 'confirmed'),
            ('scheduled', 'in_progress'),
            ('scheduled', 'completed'),
            ('scheduled', 'no_show'),
            ('scheduled', 'cancelled'),
            ('confirmed', 'in_progress'),
            ('confirmed', 'completed'),
            ('confirmed', 'no_show'),
            ('confirmed', 'cancelled'),
            ('in_progress', 'completed'),
            ('in_progress', 'no_show'),
            ('in_progress', 'cancelled')
        ) as t (old_status, new_status)
        where t.old_status = p_session.status and t.new_status = p_status
    ) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status
        ));
    end if;

    -- A session before its start has neither taken place nor been missed. A therapist may begin it up to an hour early.
    if p_session.start_time > (
        case
            when p_status in ('completed', 'no_show') then clock_timestamp()
            when p_status = 'in_progress' then clock_timestamp() + interval '1 hour'
        end
    ) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status,
            'start_time', bookingdb.iso_utc(p_session.start_time)
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_transition(public.sessions, text) is
'Refuses a status that the table of transitions does not allow, an end before the start, and a beginning over an hour before it. Caller holds: the lock of the session''s row. Raises: invalid_transition.';
