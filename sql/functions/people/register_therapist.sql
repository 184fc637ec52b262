-- Public.
create or replace function bookingdb.register_therapist(
    p_email text,
    p_full_name text default null,
    p_user_id uuid default null,
    p_time_zone text default null
)
returns uuid
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
    perform bookingdb.authorise_trusted();
    perform bookingdb.resolve_time_zone(p_time_zone, null);

    v_therapist_id := bookingdb.register_person(p_email, p_full_name, p_user_id, 'therapist', true);

    if p_time_zone is not null then
        -- As whoever changes a policy does: the person before the row.
        perform bookingdb.lock_people(array[v_therapist_id]);
        begin
            insert into bookingdb.policies as p (therapist_id, time_zone)
            values (v_therapist_id, p_time_zone)
            on conflict on constraint policies_therapist_id_key
            do update set time_zone = excluded.time_zone
            where p.time_zone is distinct from excluded.time_zone;
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    end if;
    return v_therapist_id;
end;
$function$;

comment on function bookingdb.register_therapist(text, text, uuid, text) is
'Registers a therapist, active and verified, and returns their id (p_user_id where it is given); local times of their sessions are meant in p_time_zone (an IANA name). The same person again returns the same id. Somebody who was deactivated, or is not verified, stays so: person_inactive. Where the users of an adopted application have a column of their own that must be filled, invalid_parameter names it, and nobody new is registered. For trusted callers. Raises: busy.';
