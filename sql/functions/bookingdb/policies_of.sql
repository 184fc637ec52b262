create or replace function bookingdb.policies_of(p_therapist_ids uuid[])
returns setof bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select p.*
    from unnest(p_therapist_ids) as i (id)
    cross join lateral bookingdb.policy_of(i.id) as p;
end;
$function$;

comment on function bookingdb.policies_of(uuid[]) is
'What holds for each of these therapists: the settings of its own, and the default''s where it has none. Null asks for the default.';
