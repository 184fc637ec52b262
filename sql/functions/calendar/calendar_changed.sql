create or replace function bookingdb.calendar_changed()
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
    -- What keeps a person's time in their other part is no absence, and follows the row that it is of.
    if tg_op = 'INSERT' then
        if new.mirror_of is null then
            perform bookingdb.change_rules(array[new.therapist_id], true);
        end if;
    elsif old.mirror_of is not null then
        return null;
    elsif old.mirror_ids is not null then
        perform bookingdb.move_mirrors(old, new);
    elsif tg_op = 'UPDATE' then
        perform bookingdb.change_rules(array[old.therapist_id, new.therapist_id], true);
    -- No booking can want a time that is over, and housekeeping() waits for nobody.
    elsif upper(old.blocked) > clock_timestamp() then
        perform bookingdb.change_rules(
            array[old.therapist_id], bookingdb.are_therapists(array[old.therapist_id])
        );
    end if;
    return null;
end;
$function$;

comment on function bookingdb.calendar_changed() is
'Trigger on the calendar: locks and marks the therapists of absences, whoever writes; mirrors follow the row they are of.';
