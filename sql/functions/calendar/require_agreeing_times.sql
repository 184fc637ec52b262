create or replace function bookingdb.require_agreeing_times(
    p_session public.sessions,
    p_time_zone text,
    p_local boolean,
    p_length boolean
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    if p_local
        and p_session.scheduled_date between date '1900-01-01' and date '2999-12-31'
        and p_session.start_time >= timestamptz '1900-01-01 00:00:00+00'
        and p_session.start_time < timestamptz '3000-01-01 00:00:00+00'
        and not bookingdb.is_same_minute(
            p_session.start_time at time zone p_time_zone, p_session.scheduled_date + p_session.scheduled_time
        ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'scheduled_time', 'start_time', bookingdb.iso_utc(p_session.start_time),
            'time_zone', p_time_zone
        ));
    end if;
    -- A session of no length would leave the calendar, and others would book its time.
    if p_length and p_session.start_time >= p_session.end_time and bookingdb.occupies_time(p_session.status) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'end_time', 'start_time', bookingdb.iso_utc(p_session.start_time)
        ));
    end if;
    if p_length and p_session.start_time < p_session.end_time and isfinite(p_session.start_time) then
        if p_session.end_time > p_session.start_time + interval '10080 minutes' then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'end_time', 'maximum_minutes', 10080
            ));
        end if;
        if abs(extract(epoch from p_session.end_time - p_session.start_time) - 60 * p_session.duration_minutes)
            >= 60 then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'duration_minutes', 'start_time', bookingdb.iso_utc(p_session.start_time),
                'end_time', bookingdb.iso_utc(p_session.end_time)
            ));
        end if;
    end if;
end;
$function$;

comment on function bookingdb.require_agreeing_times(public.sessions, text, boolean, boolean) is
'Refuses a session whose local time contradicts its start (p_local), or whose length is absurd or contradicts its duration (p_length). Raises: invalid_parameter.';
