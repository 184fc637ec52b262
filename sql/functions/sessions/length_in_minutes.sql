create or replace function bookingdb.length_in_minutes(p_session public.sessions)
returns integer
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A direct writer may have left the end out, or made it endless.
    return coalesce(
        case when p_session.start_time < p_session.end_time then least(86400, (
            extract(epoch from p_session.end_time) - extract(epoch from p_session.start_time)
        ))::integer / 60 end,
        p_session.duration_minutes,
        0
    );
end;
$function$;

comment on function bookingdb.length_in_minutes(public.sessions) is
'Returns how many minutes a session takes, at most a day; without a start and an end its duration.';
