create or replace function bookingdb.forget_deleted_people(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_gone constant uuid[] := array(
        select i.id
        from unnest(p_people) as i (id)
        -- offset 0: look-ups by id, whatever the statistics say.
        where not exists (select from bookingdb.people as p where p.id = i.id offset 0)
    );
    v_hold_ids uuid[];
begin
    if v_gone = '{}' then
        return;
    end if;
    delete from bookingdb.weekly_hours as w where w.therapist_id = any (v_gone);
    delete from bookingdb.therapists_with_hours as h where h.therapist_id = any (v_gone);
    delete from bookingdb.therapist_clients as t where t.therapist_id = any (v_gone);
    delete from bookingdb.date_overrides as d where d.therapist_id = any (v_gone);
    delete from bookingdb.policies as p where p.therapist_id = any (v_gone);
    delete from bookingdb.contacts as c where c.person_id = any (v_gone);
    delete from bookingdb.calendar_feeds as c where c.person_id = any (v_gone);
    delete from bookingdb.former_therapists as f where f.therapist_id = any (v_gone);
    v_hold_ids := array(
        select c.id
        from bookingdb.calendar as c
        where c.kind = 'hold' and c.mirror_of is null and (c.therapist_id = any (v_gone) or c.client_id = any (v_gone))
    );
    -- The calendar first, as everybody does, and the rows that keep a time in the other part follow it.
    perform bookingdb.remove_held_times(v_hold_ids);
    delete from bookingdb.holds as h
    where h.id = any (v_hold_ids) or h.therapist_id = any (v_gone);
    -- The stand-in for a session that overlapped others when the database was adopted goes with it.
    delete from bookingdb.absences as a
    where a.therapist_id = any (v_gone) and a.external_source is distinct from 'adoption';
end;
$function$;

comment on function bookingdb.forget_deleted_people(uuid[]) is
'Removes what was a person''s alone, of those of these people who are deleted: hours, overrides, policy, time off, external appointments, addresses, holds. Caller holds: their locks.';
