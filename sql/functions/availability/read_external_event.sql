create or replace function bookingdb.read_external_event(p_event jsonb, p_therapist_id uuid, p_time_zone text)
returns bookingdb.external_event
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_date constant text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}$';
    v_read bookingdb.external_event;
    v_start timestamptz;
    v_end timestamptz;
begin
    v_read.outcome := 'rejected';
    if jsonb_typeof(p_event) is distinct from 'object' then
        v_read.reason := 'not_an_object';
        return v_read;
    end if;
    if jsonb_typeof(p_event -> 'uid') = 'string' then
        v_read.uid := nullif(p_event ->> 'uid', '');
    end if;
    if jsonb_typeof(p_event -> 'external_id') not in ('string', 'number')
        or (char_length(p_event ->> 'external_id') between 1 and 255) is not true then
        v_read.reason := 'invalid_external_id';
        return v_read;
    end if;
    v_read.external_id := p_event ->> 'external_id';

    -- 1. What takes no time needs none.
    if coalesce(p_event ->> 'removed', 'false') not in ('true', 'false') then
        v_read.reason := 'invalid_removed';
    elsif coalesce(p_event ->> 'free', 'false') not in ('true', 'false') then
        v_read.reason := 'invalid_free';
    elsif p_event ->> 'removed' = 'true' then
        v_read.outcome := 'removed';
    elsif p_event ->> 'free' = 'true'
        or lower(p_event ->> 'transparency') = 'transparent'
        or lower(p_event ->> 'status') in ('cancelled', 'canceled')
        or bookingdb.is_own_entry(p_therapist_id, v_read.external_id)
        or bookingdb.is_own_entry(p_therapist_id, v_read.uid) then
        v_read.outcome := 'free';
    end if;
    if v_read.outcome <> 'rejected' or v_read.reason is not null then
        return v_read;
    end if;

    -- 2. Everything else has a time. Each step overwrites the reason that a failure would have.
    begin
        v_read.reason := 'invalid_start_time';
        v_start := bookingdb.external_instant(p_event ->> 'start_time', p_time_zone);
        if v_start is null then
            return v_read;
        elsif v_start < timestamptz '1900-01-01 00:00:00+00' or v_start >= timestamptz '3000-01-01 00:00:00+00' then
            v_read.reason := 'out_of_range';
            return v_read;
        end if;
        v_read.reason := 'invalid_end_time';
        v_end := bookingdb.external_instant(p_event ->> 'end_time', p_time_zone);
        -- A day without an end, or which ends on the date it starts on, is one day: calendars show it as one.
        if p_event ->> 'start_time' ~ c_date
            and coalesce(p_event ->> 'end_time', p_event ->> 'start_time') = p_event ->> 'start_time' then
            v_end := bookingdb.external_instant(((p_event ->> 'start_time')::date + 1)::text, p_time_zone);
        end if;
        if v_end is null then
            return v_read;
        elsif v_end < v_start then
            -- A start that the clocks skip, and an end soon after the jump.
            v_start := bookingdb.external_instant(p_event ->> 'start_time', p_time_zone, true);
        end if;
    exception
        when invalid_parameter_value then
            -- The server has lost the therapist's zone.
            v_read.reason := 'invalid_time_zone';
            return v_read;
        when data_exception then
            return v_read;
    end;

    v_read.reason := case
        when v_end >= timestamptz '3000-01-01 00:00:00+00' then 'out_of_range'
        when v_end < v_start then 'end_before_start'
    end;
    if v_read.reason is null then
        v_read.outcome := case when v_start = v_end then 'free' else 'busy' end;
        v_read.period := tstzrange(v_start, v_end);
    end if;
    return v_read;
end;
$function$;

comment on function bookingdb.read_external_event(jsonb, uuid, text) is
'Reads one event of another calendar: busy with its period, free, removed, or rejected with a reason. Local times are the therapist''s, p_time_zone.';
