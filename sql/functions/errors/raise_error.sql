create or replace function bookingdb.raise_error(p_code text, p_context jsonb default '{}')
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- The table of errors. Messages are fixed: they become HTTP reason phrases, and applications match parts of them.
    -- A key of a constant is found for a tenth of what a list of VALUES costs.
    v_error constant jsonb := jsonb '{
        "not_authenticated": ["PT401", "Not authenticated",
            "Log in, or call as a trusted role: the owner, service_role or a role that `bookingdb trust` named."],
        "not_allowed": ["PT403", "Not allowed to act for this user",
            "A logged-in user acts for itself only; everything else is for trusted roles."],
        "invalid_therapist_id": ["PT400", "Invalid therapist ID format", "Give the therapist''s id, a UUID."],
        "invalid_user_id": ["PT400", "Invalid user ID format", "Give the user''s id, a UUID."],
        "invalid_session_id": ["PT400", "Invalid session ID format", "Give the session''s id, a UUID."],
        "invalid_date": ["PT400", "Invalid date format", "Give a date as YYYY-MM-DD, between 1900 and 2999."],
        "invalid_time": ["PT400", "Invalid time format", "Give a time as HH:MM, from 00:00 to 23:59, without seconds."],
        "skipped_time": ["PT400", "Invalid time: skipped by a clock change",
            "On this day the clocks jump over this time: choose an earlier or a later one."],
        "invalid_time_zone": ["PT400", "Invalid time zone", "Give an IANA name such as Europe/Berlin."],
        "invalid_duration": ["PT400", "Duration must be 15-180 minutes", "Give whole minutes from 15 to 180."],
        "invalid_parameter": ["PT400", "Invalid parameter", "Give this parameter another value."],
        "in_past": ["PT400", "Cannot book in the past", "Choose a start that is still to come."],
        "too_soon": ["PT400", "Too close to the start to book", "Choose a later start."],
        "too_far": ["PT400", "Too far ahead to book", "Choose an earlier start."],
        "therapist_not_found": ["PT404", "Therapist not found", "Nobody with this id can be booked at present."],
        "user_not_found": ["PT404", "User not found", "No active client has this id."],
        "session_not_found": ["PT404", "Session not found", "No session has this id."],
        "hold_not_found": ["PT404", "Hold not found", "No hold has this id."],
        "time_off_not_found": ["PT404", "Time off not found", "No time off has this id."],
        "lot_not_found": ["PT404", "Credit grant not found", "No grant of credits has this id or payment reference."],
        "feed_not_found": ["PT404", "Calendar feed not found", "Ask the person for the address that they have now."],
        "package_not_found": ["PT404", "Package not found", "No package that is sold has this id or price reference."],
        "destination_not_found": ["PT404", "Destination not found",
            "list_destinations(), or `bookingdb destinations list`, has those that there are."],
        "insufficient_credits": ["PT402", "Insufficient credits: purchase credits first",
            "Purchase credits, then try again."],
        "booking_conflict": ["PT409", "Booking conflict: time slot unavailable", "Choose another time."],
        "client_conflict": ["PT409", "Booking conflict: you already have a session at this time",
            "Choose another time, or first cancel the session, or book the hold, that is in the way."],
        "outside_availability": ["PT409", "Booking conflict: outside available hours", "Choose another time."],
        "client_limit": ["PT409", "Booking conflict: too many sessions",
            "Cancel another session first, or book later; DETAIL has the limit."],
        "person_inactive": ["PT409", "Person is not active",
            "Registering again opens nobody: set_client_active() and set_therapist_active() do."],
        "grant_revoked": ["PT409", "Payment was revoked",
            "Nothing was granted. When the payment came after all, reinstate_grant() gives its credits back."],
        "person_in_use": ["PT409", "Person still has sessions to come",
            "Cancel their sessions to come and release their holds first."],
        "invalid_transition": ["PT409", "Session status does not allow this", "Look at the session''s status first."],
        "reschedule_refused": ["PT409", "Session can no longer be moved",
            "Ask the therapist to move it, or cancel it."],
        "hold_expired": ["PT410", "Hold expired", "Hold the slot again."],
        "idempotency_key_reused": ["PT422", "Idempotency key was used with other parameters",
            "Use a new key for a new request, and the same parameters for a retry."],
        "busy": ["PT503", "Booking is busy, try again", "Try again in a moment."]
    }' -> p_code;
    v_hint text := v_error ->> 2;
begin
    -- The others are spared the call.
    if p_code in ('insufficient_credits', 'idempotency_key_reused', 'invalid_parameter', 'invalid_transition') then
        v_hint := coalesce(bookingdb.choose_hint(p_code, p_context), v_hint);
    end if;
    raise exception using
        errcode = v_error ->> 0,
        message = v_error ->> 1,
        detail = (jsonb_build_object('code', p_code) || p_context)::text,
        hint = v_hint;
end;
$function$;

comment on function bookingdb.raise_error(text, jsonb) is
'Raises the error of this code; errors are made nowhere else. DETAIL is {"code": ...} and the context. The table of errors: docs/errors.md.';
