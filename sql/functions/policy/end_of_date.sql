create or replace function bookingdb.end_of_date(p_parameter text, p_date date)
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_time_zone text;
begin
    if p_date not between date '1900-01-01' and date '2999-12-30' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'minimum', '1900-01-01', 'maximum', '2999-12-30'
        ));
    end if;
    v_time_zone := (bookingdb.policy_of(null)).time_zone;
    perform bookingdb.require_time_zone(v_time_zone);
    return bookingdb.wall_clock_instant(p_date + 1, v_time_zone);
end;
$function$;

comment on function bookingdb.end_of_date(text, date) is
'Returns when a date is over in the default policy''s zone: the next midnight there. NULL for NULL. Raises: invalid_parameter.';
