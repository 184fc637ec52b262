-- Inlined.
create or replace function bookingdb.booking_request(
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return jsonb_build_array(
        p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
        p_time_zone
    );
end;
$function$;

comment on function bookingdb.booking_request(uuid, date, time, integer, varchar, text, text, text) is
'Returns what was asked of a booking, for request_hash().';
