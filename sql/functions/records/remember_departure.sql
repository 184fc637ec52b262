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
    insert into bookingdb.former_therapists (therapist_id, session_id, start_time, end_time)
    values (p_session.therapist_id, p_session.id, p_session.start_time, p_session.end_time)
    on conflict (therapist_id, session_id)
    do update set start_time = excluded.start_time, end_time = excluded.end_time;
end;
$function$;

comment on function bookingdb.remember_departure(public.sessions) is
'Remembers that a session left its therapist, and when it was with them, for their calendar. Caller: the trigger, with the session as it was.';
