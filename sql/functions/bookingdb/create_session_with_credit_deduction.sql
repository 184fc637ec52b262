create or replace function bookingdb.create_session_with_credit_deduction(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
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
    perform bookingdb.authorise(p_user_id);
    return bookingdb.book_once(
        'create_session_with_credit_deduction', p_user_id, p_therapist_id, p_session_date, p_session_time,
        p_duration_minutes, p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key, false
    );
end;
$function$;

comment on function bookingdb.create_session_with_credit_deduction(
    uuid, uuid, date, time, integer, varchar, text, text, text, text
) is
'Books a session and takes one credit for it, or changes nothing. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_therapist_id, invalid_duration, invalid_parameter, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict, insufficient_credits.';
