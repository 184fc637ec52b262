create or replace function bookingdb.zone_rules(p_time_zone text, p_from timestamptz, p_to timestamptz)
returns bookingdb.zone_rules
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_starts_at timestamptz[] := array[p_from];
    v_offset interval := p_from at time zone p_time_zone - p_from at time zone interval '0';
    v_utc_offsets interval[] := array[v_offset];
    v_before timestamptz := p_from;
    v_instant timestamptz;
    v_middle timestamptz;
    v_rules bookingdb.zone_rules;
begin
    -- No zone changes its clocks and changes them back within a week.
    while v_before < p_to loop
        v_instant := v_before + interval '168 hours';
        if v_instant at time zone p_time_zone - v_instant at time zone interval '0' <> v_offset then
            while v_instant - v_before > interval '1 minute' loop
                v_middle := v_before + date_trunc('minute', (v_instant - v_before) / 2);
                if v_middle at time zone p_time_zone - v_middle at time zone interval '0' = v_offset then
                    v_before := v_middle;
                else
                    v_instant := v_middle;
                end if;
            end loop;
            exit when v_instant >= p_to;
            v_offset := v_instant at time zone p_time_zone - v_instant at time zone interval '0';
            v_starts_at := v_starts_at || v_instant;
            v_utc_offsets := v_utc_offsets || v_offset;
        end if;
        v_before := v_instant;
    end loop;
    v_rules := row(v_starts_at, v_utc_offsets);
    return v_rules;
end;
$function$;

comment on function bookingdb.zone_rules(text, timestamptz, timestamptz) is
'Returns the offsets from UTC that a zone has on this server between two full minutes, and when each of them begins.';
