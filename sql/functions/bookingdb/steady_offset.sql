create or replace function bookingdb.steady_offset(p_local_date date, p_time_zone text)
returns interval
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_day_before constant timestamptz := (p_local_date - 1)::timestamp at time zone interval '0';
    v_two_days_later constant timestamptz := (p_local_date + 3)::timestamp at time zone interval '0';
    v_offset constant interval := v_two_days_later at time zone p_time_zone
        - v_two_days_later at time zone interval '0';
begin
    if v_day_before at time zone p_time_zone - v_day_before at time zone interval '0' = v_offset then
        return v_offset;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.steady_offset(date, text) is
'By how much the clocks of a zone are ahead of UTC, if they are by as much from the day before a date until two days after it: then an instant is a local time less this, and nothing need be looked up (wall_clock_instant). Null around a change of the clocks.';
