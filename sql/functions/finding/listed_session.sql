create or replace function bookingdb.listed_session(p_session public.sessions)
returns bookingdb.listed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_listed bookingdb.listed_session;
begin
    v_listed := row(
        p_session.id, p_session.user_id, p_session.therapist_id, p_session.title, p_session.description,
        p_session.scheduled_date, p_session.scheduled_time, p_session.start_time, p_session.end_time,
        p_session.duration_minutes, p_session.session_type, p_session.status, p_session.created_at,
        p_session.time_zone, p_session.free_cancellation_until, p_session.series_id,
        bookingdb.person_name(p_session.user_id, false),
        bookingdb.person_name(p_session.therapist_id, true),
        bookingdb.next_actions(p_session, bookingdb.authorise_for_session(p_session)),
        bookingdb.session_cursor(p_session.start_time, p_session.id)
    );
    return v_listed;
end;
$function$;

comment on function bookingdb.listed_session(public.sessions) is
'Returns a session in the form of lists: with the names of both people and what the caller may do next. Refuses callers without a part in it.';
