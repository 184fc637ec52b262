create or replace function bookingdb.remember_departure(p_session public.sessions)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A session without a usable time was in no calendar.
    if p_session.therapist_id is null or not coalesce(bookingdb.has_place_in_time(p_session), false) then
        return;
    end if;
    -- Their calendar knows of the changes up to this one, which has no audit row yet, and of none that is to come.
    insert into bookingdb.former_therapists (therapist_id, session_id, start_time, end_time, sequence)
    values (
        p_session.therapist_id, p_session.id, p_session.start_time, p_session.end_time, 1 + (
            select count(*)
            from public.booking_audit_log as a
            where a.session_id = p_session.id and a.action <> 'created'
        )
    )
    on conflict (therapist_id, session_id)
    do update set start_time = excluded.start_time, end_time = excluded.end_time, sequence = excluded.sequence;
end;
$function$;

comment on function bookingdb.remember_departure(public.sessions) is
'Remembers that a session left its therapist, when it was with them, and how often it was changed, for their calendar. Caller: the trigger, with the session as it was.';
