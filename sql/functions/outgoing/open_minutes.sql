create or replace function bookingdb.open_minutes(p_open int4multirange, p_off int4multirange)
returns int4multirange
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.subtract_off_minutes(p_open, p_off);
end;
$function$;

comment on function bookingdb.open_minutes(int4multirange, int4multirange) is
'The name of subtract_off_minutes() in the version before, for calls that began before the upgrade. The next version drops it.';
