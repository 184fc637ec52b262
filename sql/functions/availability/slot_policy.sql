create or replace function bookingdb.slot_policy(
    p_therapist_id uuid,
    p_duration_minutes integer,
    p_step_minutes integer
)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policy bookingdb.effective_policy;
begin
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_step_minutes not between 1 and 1440 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_step_minutes', 'minimum', 1, 'maximum', 1440
        ));
    end if;
    perform bookingdb.require_therapist(p_therapist_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(p_duration_minutes, v_policy);
    return v_policy;
end;
$function$;

comment on function bookingdb.slot_policy(uuid, integer, integer) is
'Returns the policy by which a therapist''s slots are listed, once duration and step are checked. Raises: invalid_therapist_id, invalid_parameter.';
