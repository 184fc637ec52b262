-- Inlined.
create or replace function bookingdb.blocked_time(p_policy bookingdb.effective_policy, p_period tstzrange)
returns tstzrange
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return tstzrange(
        lower(p_period) - make_interval(mins => p_policy.buffer_before_minutes),
        upper(p_period) + make_interval(mins => p_policy.buffer_after_minutes)
    );
end;
$function$;

comment on function bookingdb.blocked_time(bookingdb.effective_policy, tstzrange) is
'Returns a period extended by the buffers of a policy, as the calendar keeps it.';
