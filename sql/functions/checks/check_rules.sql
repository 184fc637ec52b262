create or replace function bookingdb.check_rules()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
declare
    v_with_hours constant uuid[] := bookingdb.people_with_hours(null);
    v_people constant uuid[] := v_with_hours || array(
        select coalesce(p.therapist_id, '00000000-0000-0000-0000-000000000000') from bookingdb.policies as p
    );
    v_found jsonb;
    v_expected jsonb;
begin
    invariant := 11;
    problem := 'effective rules differ from policies, hours and overrides';
    -- As texts: 24 hours equal a day, and are something else where clocks change.
    for subject_id, v_found, v_expected in
        select coalesce(r.therapist_id, e.therapist_id), to_jsonb(r), to_jsonb(e)
        from bookingdb.rules as r
        full join bookingdb.effective_rules(v_people, v_with_hours) as e on e.therapist_id = r.therapist_id
        where r::text is distinct from e::text
    loop
        context := coalesce(
            (
                select jsonb_object_agg(s.key, s.value)
                from jsonb_each(v_expected) as s
                where v_found -> s.key is distinct from s.value
            ),
            '{}'
        );
        return next;
    end loop;
end;
$function$;

comment on function bookingdb.check_rules() is
'Invariant 11: returns the therapists whose row of bookingdb.rules is not what policies, hours and overrides say, with what it should be (nothing: no row).';
