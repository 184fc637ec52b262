create or replace function bookingdb.session_place(p_cursor text)
returns bookingdb.session_place
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO'
set timezone = 'UTC'
as $function$
declare
    v_place bookingdb.session_place;
begin
    begin
        v_place.session_id := right(p_cursor, 36)::uuid;
        v_place.start_time := nullif(left(p_cursor, -37), 'none')::timestamptz;
    exception
        when data_exception then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_cursor', 'reason', 'no_cursor'
            ));
    end;
    -- Only what a list wrote is a cursor, and not all that Postgres reads as a time.
    if bookingdb.session_cursor(v_place.start_time, v_place.session_id) is distinct from p_cursor then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_cursor', 'reason', 'no_cursor'
        ));
    end if;
    return v_place;
end;
$function$;

comment on function bookingdb.session_place(text) is
'Reads what session_cursor() wrote. Raises: invalid_parameter.';
