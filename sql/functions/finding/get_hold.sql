-- Public.
create or replace function bookingdb.get_hold(p_hold_id uuid)
returns bookingdb.listed_hold
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_hold bookingdb.holds;
begin
    perform bookingdb.authorise_anyone();
    if p_hold_id is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_hold_id', 'reason', 'missing'
        ));
    end if;
    select h.*
    into v_hold
    from bookingdb.holds as h
    where h.id = p_hold_id;
    if not found then
        perform bookingdb.raise_error('hold_not_found', jsonb_build_object('hold_id', p_hold_id));
    end if;
    perform bookingdb.authorise_for_hold(v_hold);
    return bookingdb.listed_hold(v_hold);
end;
$function$;

comment on function bookingdb.get_hold(uuid) is
'Returns a hold and its state: held, booked (the session has the hold''s id), released or expired. For the user whose hold it is and for trusted callers. Raises: invalid_parameter, hold_not_found.';
