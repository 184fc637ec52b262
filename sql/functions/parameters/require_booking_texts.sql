create or replace function bookingdb.require_booking_texts(
    p_session_type text,
    p_notes text,
    p_title text,
    p_idempotency_key text
)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- What is within its limits is spared the call: the three of them would be 1 % of a booking.
    if coalesce(char_length(p_session_type), 0) not between 1 and 50 then
        perform bookingdb.require_length('p_session_type', coalesce(p_session_type, ''), 1, 50);
    end if;
    if coalesce(char_length(p_title), 0) not between 1 and 255 then
        perform bookingdb.require_length('p_title', coalesce(p_title, ''), 1, 255);
    end if;
    if char_length(p_notes) > 10000 then
        perform bookingdb.require_length('p_notes', p_notes, 0, 10000);
    end if;
    perform bookingdb.require_idempotency_key(p_idempotency_key);
end;
$function$;

comment on function bookingdb.require_booking_texts(text, text, text, text) is
'Refuses texts of a booking that are missing or too long.';
