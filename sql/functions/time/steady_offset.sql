create or replace function bookingdb.steady_offset(p_from date, p_to date, p_time_zone text)
returns interval
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_instant timestamptz := (p_from - 1)::timestamp at time zone interval '0';
    v_end constant timestamptz := (p_to + 3)::timestamp at time zone interval '0';
    v_offset constant interval := v_instant at time zone p_time_zone - v_instant at time zone interval '0';
begin
    -- No zone changes its clocks and changes them back within a week.
    while v_instant < v_end loop
        v_instant := least(v_instant + interval '168 hours', v_end);
        if v_instant at time zone p_time_zone - v_instant at time zone interval '0' <> v_offset then
            return null;
        end if;
    end loop;
    return v_offset;
end;
$function$;

comment on function bookingdb.steady_offset(date, date, text) is
'Returns a zone''s offset from UTC if it stays the same from the day before the first date to two days after the last, else NULL. With it local times need no look-up (wall_clock_instant).';
