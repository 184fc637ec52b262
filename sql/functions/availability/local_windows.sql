create or replace function bookingdb.local_windows(p_parameter text, p_windows jsonb)
returns setof bookingdb.weekly_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_names constant text[] := array[
        'weekday', 'start_time', 'end_time', 'valid_from', 'valid_to', 'every_weeks', 'time_zone'
    ];
    v_window jsonb;
    v_number bigint;
    v_is_valid boolean;
    v_read bookingdb.weekly_window;
begin
    if p_windows is null or jsonb_typeof(p_windows) <> 'array' or jsonb_array_length(p_windows) > 200 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'maximum_windows', 200
        ));
    end if;

    for v_window, v_number in
        select w.value, w.ordinality
        from jsonb_array_elements(p_windows) with ordinality as w
    loop
        begin
            v_is_valid := jsonb_typeof(v_window) = 'object'
                and not exists (select from jsonb_object_keys(v_window) as k where k <> all (c_names))
                -- Seconds may be written, as Postgres shows them, but must be zero. 24:00 is the midnight at which a
                -- day ends.
                and coalesce(v_window ->> 'start_time' ~ '^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$', false)
                and coalesce(v_window ->> 'end_time' ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)(:00)?$', false)
                and coalesce(v_window ->> 'weekday' ~ '^[1-7]$', true)
                and coalesce(v_window ->> 'valid_from' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', true)
                and coalesce(v_window ->> 'valid_to' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', true)
                and coalesce(v_window ->> 'every_weeks' ~ '^[1-8]$', true)
                and coalesce(jsonb_typeof(v_window -> 'time_zone') in ('string', 'null'), true);
            if v_is_valid then
                v_read := row(
                    v_window ->> 'weekday',
                    v_window ->> 'start_time',
                    -- An end of 24:00 is stored as 00:00, which is on the next day.
                    regexp_replace(v_window ->> 'end_time', '^24:00', '00:00'),
                    v_window ->> 'valid_from',
                    v_window ->> 'valid_to',
                    v_window ->> 'every_weeks',
                    v_window ->> 'time_zone'
                );
                v_is_valid := not (
                    v_read.valid_from > v_read.valid_to
                    or least(v_read.valid_from, v_read.valid_to) < date '1900-01-01'
                    -- Nobody could say which weeks are meant.
                    or (v_read.every_weeks > 1 and v_read.valid_from is null)
                );
            end if;
        exception
            -- Such as the 30th of February.
            when data_exception then
                v_is_valid := false;
        end;
        -- NULL is allowed: it comes from an optional field that is missing.
        if not coalesce(v_is_valid, true) then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', p_parameter, 'window', v_number
            ));
        end if;
        perform bookingdb.resolve_time_zone(v_read.time_zone, null);
        return next v_read;
    end loop;
end;
$function$;

comment on function bookingdb.local_windows(text, jsonb) is
'Reads windows from a JSON array: start_time, end_time; optionally weekday, valid_from, valid_to, every_weeks, time_zone. DETAIL counts windows from 1. Raises: invalid_parameter.';
