create or replace function bookingdb.computed_policy(p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people constant uuid[] := array[p_therapist_id, '00000000-0000-0000-0000-000000000000'];
begin
    return (
        select row(
            p_therapist_id,
            e.:name, -- for each setting up to require_hours
            e.has_hours,
            e.:name -- for each setting after require_hours
        )::bookingdb.effective_policy
        from bookingdb.effective_rules(v_people, bookingdb.people_with_hours(v_people)) as e
        order by e.therapist_id desc
        limit 1
    );
end;
$function$;

comment on function bookingdb.computed_policy(uuid) is
'Returns the policy of a therapist, or (NULL) the default one, without bookingdb.rules: for policy_of() alone.';
