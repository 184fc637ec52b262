-- Public.
create or replace function bookingdb.set_therapist_active(p_therapist_id uuid, p_active boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_trusted();

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_active is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_active', 'reason', 'missing'
        ));
    end if;

    if not bookingdb.set_person_active(p_therapist_id, true, p_active) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.set_therapist_active(uuid, boolean) is
'Opens (true) or closes (false) a therapist for booking; one who is opened is verified. Booked sessions stay, and a therapist who is a client as well stays a client. For trusted callers. Raises: invalid_therapist_id, invalid_parameter, therapist_not_found.';
