-- Inlined.
create or replace function bookingdb.free_cancellation_until(p_policy bookingdb.effective_policy, p_start timestamptz)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.add_elapsed(p_start, -p_policy.cancellation_window);
end;
$function$;

comment on function bookingdb.free_cancellation_until(bookingdb.effective_policy, timestamptz) is
'Returns until when the client of a session cancels free of charge: cancellation_window of a policy before the start.';
