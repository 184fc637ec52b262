create or replace function bookingdb.local_start(p_date date, p_time time, p_time_zone text, p_therapists_zone text)
returns bookingdb.local_start
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_time_zone text;
    v_start timestamptz;
    v_local timestamp;
    v_answer bookingdb.local_start;
begin
    -- An offset names a moment, but no place: the session is written down in the therapist's zone, at whichever of two
    -- equal local times was meant.
    if p_time_zone ~ '^(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$' then
        perform bookingdb.require_time_zone(p_therapists_zone);
        v_start := bookingdb.local_instant(p_date, p_time, 'UTC');
        if p_time_zone <> 'Z' then
            v_start := v_start - p_time_zone::interval;
        end if;
        v_local := date_trunc('minute', v_start at time zone p_therapists_zone);
        v_answer := row(v_start, v_local::date, v_local::time, p_therapists_zone);
        return v_answer;
    end if;

    v_time_zone := p_therapists_zone;
    if p_time_zone is not null then
        v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapists_zone);
    end if;
    v_answer := row(bookingdb.local_instant(p_date, p_time, v_time_zone), p_date, p_time, v_time_zone);
    return v_answer;
end;
$function$;

comment on function bookingdb.local_start(date, time, text, text) is
'Reads the local time of a call: in the zone that it names, else the therapist''s. With an offset (Z, +02:00) instead, the time is that moment, as the therapist''s clocks show it.';
