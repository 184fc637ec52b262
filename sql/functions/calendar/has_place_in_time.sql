create or replace function bookingdb.has_place_in_time(p_session public.sessions)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.occupies_time(p_session.status)
        and (p_session.therapist_id is not null or p_session.user_id is not null)
        and p_session.start_time < p_session.end_time
        and isfinite(p_session.start_time)
        and isfinite(p_session.end_time);
end;
$function$;

comment on function bookingdb.has_place_in_time(public.sessions) is
'Says whether a session has a calendar row: it takes place, has a person, and ends after it starts. Queries over all sessions spell this out (occupying_statuses): per row it costs ten times as much.';
