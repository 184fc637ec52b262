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
        and p_session.start_time >= timestamptz '1900-01-01 00:00:00+00'
        and p_session.end_time < timestamptz '3000-01-01 00:00:00+00'
        and p_session.end_time
        <= least(p_session.start_time, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes';
end;
$function$;

comment on function bookingdb.has_place_in_time(public.sessions) is
'Says whether a session has a calendar row: it takes place, has a person, and a time within a week and the years 1900 to 2999. Queries over all sessions spell it out: a call costs ten times as much.';
