create or replace function bookingdb.book_session_with_override(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_override_hours boolean,
    p_idempotency_key text
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_trusted();
    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_override_hours is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_override_hours'));
    end if;
    return bookingdb.book_once(
        'book_session_with_override', p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes,
        p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key, p_override_hours
    );
end;
$function$;

comment on function bookingdb.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text
) is
'Books a session outside of the therapist''s hours, and says so in the audit log; everything else holds as always. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter, invalid_therapist_id, invalid_duration, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability (without p_override_hours), booking_conflict, client_conflict, insufficient_credits.';
