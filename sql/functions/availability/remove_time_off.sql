-- Public.
create or replace function bookingdb.remove_time_off(p_time_off_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_therapist_id uuid;
begin
    perform bookingdb.authorise_anyone();
    if p_time_off_id is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_time_off_id', 'reason', 'missing'
        ));
    end if;
    select a.therapist_id
    into v_therapist_id
    from bookingdb.absences as a
    where a.id = p_time_off_id and a.kind = 'time_off';
    if v_therapist_id is null then
        perform bookingdb.raise_error('time_off_not_found', jsonb_build_object('time_off_id', p_time_off_id));
    end if;
    perform bookingdb.authorise_therapist(v_therapist_id);

    perform bookingdb.lock_people(array[v_therapist_id]);
    delete from bookingdb.absences as a
    where a.id = p_time_off_id and a.kind = 'time_off';
    if not found then
        perform bookingdb.raise_error('time_off_not_found', jsonb_build_object('time_off_id', p_time_off_id));
    end if;
    perform bookingdb.write_availability_event(v_therapist_id);
end;
$function$;

comment on function bookingdb.remove_time_off(uuid) is
'Removes time off, named by the id that add_time_off() returned. For the therapist themselves and for trusted callers. Raises: invalid_parameter, time_off_not_found.';
