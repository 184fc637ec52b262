-- Inlined.
create or replace function bookingdb.is_same_minute(p_one timestamp, p_other timestamp)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return date_trunc('minute', p_one) = date_trunc('minute', p_other);
end;
$function$;

comment on function bookingdb.is_same_minute(timestamp, timestamp) is
'Says whether a start agrees with a local time: seconds are no matter.';
