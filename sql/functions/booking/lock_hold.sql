create or replace function bookingdb.lock_hold(p_hold_id uuid)
returns bookingdb.holds
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
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

    perform bookingdb.lock_people(array[v_hold.therapist_id, v_hold.user_id]);
    -- Read again, under the locks.
    select h.*
    into v_hold
    from bookingdb.holds as h
    where h.id = p_hold_id;
    return v_hold;
end;
$function$;

comment on function bookingdb.lock_hold(uuid) is
'Authorises the caller for a hold, locks its people, and returns it. Raises: invalid_parameter, hold_not_found.';
