create or replace function public.check_booking_conflict(
    p_therapist_id uuid,
    p_session_date date,
    p_start_time time,
    p_end_time time,
    p_time_zone text default null,
    p_exclude_session_id uuid default null
)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.check_booking_conflict(
        p_therapist_id, p_session_date, p_start_time, p_end_time, p_time_zone, p_exclude_session_id
    );
end;
$function$;

comment on function public.check_booking_conflict(uuid, date, time, time, text, uuid) is
'Whether the therapist is busy from p_start_time to p_end_time (at or before the start: on the next day), not counting the session p_exclude_session_id. A look, not a promise: only booking decides. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
