create or replace function bookingdb.last_active_status(p_session public.sessions)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_status text;
begin
    select a.old_status
    into v_status
    from public.booking_audit_log as a
    where a.session_id = p_session.id and bookingdb.occupies_time(a.old_status)
    order by a.entry desc
    limit 1;
    v_status := coalesce(v_status, 'scheduled');
    -- What was moved since has not begun.
    if v_status = 'in_progress' and p_session.start_time > clock_timestamp() + interval '1 hour' then
        return 'scheduled';
    end if;
    return v_status;
end;
$function$;

comment on function bookingdb.last_active_status(public.sessions) is
'Returns the last status in which a session that has ended took place, which it has again when it is reopened.';
