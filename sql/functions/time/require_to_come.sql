create or replace function bookingdb.require_to_come(p_start timestamptz)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The clock is read here, because the call may have waited for its locks.
    if p_start < clock_timestamp() then
        perform bookingdb.raise_error('in_past', jsonb_build_object('start_time', bookingdb.iso_utc(p_start)));
    end if;
end;
$function$;

comment on function bookingdb.require_to_come(timestamptz) is
'Refuses a start that has passed. Raises: in_past.';
