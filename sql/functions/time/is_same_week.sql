create or replace function bookingdb.is_same_week(p_instant timestamptz, p_other timestamptz, p_time_zone text)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    return date_trunc('week', p_instant at time zone p_time_zone)
        = date_trunc('week', p_other at time zone p_time_zone);
end;
$function$;

comment on function bookingdb.is_same_week(timestamptz, timestamptz, text) is
'Says whether two timestamps lie in one week, Monday to Sunday, of a zone. NULL where one of them is.';
