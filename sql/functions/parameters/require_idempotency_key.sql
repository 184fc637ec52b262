create or replace function bookingdb.require_idempotency_key(p_idempotency_key text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- require_length() is not called: one more call would cost 0.6 % of a booking.
    if char_length(p_idempotency_key) not between 1 and 255 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_idempotency_key', 'minimum_length', 1, 'maximum_length', 255
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_idempotency_key(text) is
'Refuses an idempotency key of fewer than 1 or more than 255 characters. NULL is allowed: there is none. Raises: invalid_parameter.';
