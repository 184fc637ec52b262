create or replace function bookingdb.bookable_span(p_policy bookingdb.effective_policy)
returns tstzrange
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_first constant timestamptz := bookingdb.add_elapsed(v_now, p_policy.minimum_notice);
begin
    -- Where the notice is longer than the horizon, everything is too soon until it is too far.
    return tstzrange(v_first, greatest(v_first, bookingdb.add_elapsed(v_now, p_policy.maximum_advance)), '[]');
end;
$function$;

comment on function bookingdb.bookable_span(bookingdb.effective_policy) is
'The instants at which a session that is booked now can start, as far as notice and horizon of a policy go.';
