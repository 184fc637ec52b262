create or replace function bookingdb.later(p_instant timestamptz, p_by interval)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.add_elapsed(p_instant, p_by);
end;
$function$;

comment on function bookingdb.later(timestamptz, interval) is
'The name of add_elapsed() in the version before, for calls that began before the upgrade. The next version drops it.';
