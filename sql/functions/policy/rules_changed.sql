create or replace function bookingdb.rules_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.mark_rules_changed(case tg_op
        when 'INSERT' then array[new.therapist_id]
        when 'DELETE' then array[old.therapist_id]
        else array[old.therapist_id, new.therapist_id]
    end);
    return null;
end;
$function$;

comment on function bookingdb.rules_changed() is
'Trigger on hours, overrides, policies and absences, per row: marks the therapist, whoever writes.';
