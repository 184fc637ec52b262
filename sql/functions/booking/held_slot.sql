create or replace function bookingdb.held_slot(p_hold_id uuid)
returns bookingdb.held_slot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_held bookingdb.held_slot;
begin
    select h.id, h.user_id, h.therapist_id, h.start_time, h.end_time, h.time_zone, h.expires_at
    into v_held
    from bookingdb.holds as h
    where h.id = p_hold_id;
    if not found then
        perform bookingdb.raise_error('hold_not_found', jsonb_build_object('hold_id', p_hold_id));
    end if;
    return v_held;
end;
$function$;

comment on function bookingdb.held_slot(uuid) is
'Returns a hold in the form in which hold_slot() answers. Caller holds: an authorisation for the client. Raises: hold_not_found.';
