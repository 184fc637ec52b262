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
declare
    v_people uuid[];
begin
    if tg_op = 'TRUNCATE' then
        perform bookingdb.change_rules(array[null::uuid], true);
        perform bookingdb.write_rules(null);
        return null;
    elsif tg_op = 'INSERT' then
        v_people := array(select distinct n.therapist_id from new_rows as n);
    elsif tg_op = 'DELETE' then
        v_people := array(select distinct o.therapist_id from old_rows as o);
    else
        v_people := array(
            select o.therapist_id from old_rows as o
            union
            select n.therapist_id from new_rows as n
        );
    end if;

    -- A statement without rows fires the trigger, too.
    if v_people = '{}' then
        return null;
    end if;

    perform bookingdb.change_rules(v_people, tg_op <> 'DELETE' or bookingdb.are_therapists(v_people));
    -- A therapist who gets weekly hours is closed once they are gone. While there are some, nobody takes that back.
    if tg_table_name in ('weekly_hours', 'therapists_with_hours') then
        insert into bookingdb.therapists_with_hours (therapist_id)
        select p.id
        from unnest(v_people) as p (id)
        -- offset 0: look-ups by id, whatever the statistics say.
        where exists (select from bookingdb.weekly_hours as w where w.therapist_id = p.id offset 0)
            and not exists (select from bookingdb.therapists_with_hours as h where h.therapist_id = p.id offset 0)
        on conflict do nothing;
    end if;
    -- A therapist's part as a client is none of their rules.
    if tg_table_name <> 'therapist_clients' then
        perform bookingdb.write_rules(v_people);
    end if;
    return null;
end;
$function$;

comment on function bookingdb.rules_changed() is
'Trigger on hours, overrides, policies and clients'' parts of therapists: locks and marks the therapists, and writes their rules.';
