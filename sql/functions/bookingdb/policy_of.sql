create or replace function bookingdb.policy_of(p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policy bookingdb.effective_policy;
begin
    select p.*
    into v_policy
    from bookingdb.policies_of(array[p_therapist_id]) as p;
    return v_policy;
end;
$function$;

comment on function bookingdb.policy_of(uuid) is
'What holds for a therapist (policies_of). Null asks for the default.';
