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
    -- With a minimum_notice beyond maximum_advance every start is too soon until it is too far.
    return tstzrange(v_first, greatest(v_first, bookingdb.add_elapsed(v_now, p_policy.maximum_advance)), '[]');
end;
$function$;

comment on function bookingdb.bookable_span(bookingdb.effective_policy) is
'Returns the booking window: the starts that minimum_notice and maximum_advance of a policy allow to a session booked now.';
