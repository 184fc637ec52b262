create or replace function bookingdb.absences_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_therapists uuid[];
begin
    -- A stand-in, which has a client, takes no time that its session did not have.
    if tg_op = 'INSERT' then
        v_therapists := array(select distinct n.therapist_id from new_rows as n where n.client_id is null);
    elsif tg_op = 'DELETE' then
        -- No booking can want a time that is over, and housekeeping() waits for nobody.
        v_therapists := array(
            select distinct o.therapist_id
            from old_rows as o
            where o.client_id is null and upper(o.period) > clock_timestamp()
        );
    else
        v_therapists := array(
            select o.therapist_id from old_rows as o
            where o.client_id is null
            union
            select n.therapist_id from new_rows as n
            where n.client_id is null
        );
    end if;

    -- A statement without rows fires the trigger, too.
    if v_therapists <> '{}' then
        perform bookingdb.change_rules(v_therapists, tg_op <> 'DELETE' or bookingdb.are_therapists(v_therapists));
    end if;
    return null;
end;
$function$;

comment on function bookingdb.absences_changed() is
'Trigger on the absences, per statement: locks and marks their therapists, whoever writes.';
