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
    v_lock_timeout constant text := current_setting('lock_timeout');
    v_people uuid[];
begin
    -- Absences are rows of the calendar, which a booking writes, too: a trigger for each statement would cost it.
    if tg_level = 'ROW' then
        v_people := case tg_op
            when 'INSERT' then array[new.therapist_id]
            when 'DELETE' then array[old.therapist_id]
            else array[old.therapist_id, new.therapist_id]
        end;
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

    -- A booking locks its people before it marks them. A writer who only marked them, and books later, would deadlock
    -- with it. This statement has locked its row, and functions lock the person before the row: give up with busy
    -- before Postgres looks for a deadlock and ends that call.
    perform set_config('lock_timeout', greatest(1, floor(extract(epoch from least(
        nullif(v_lock_timeout::interval, interval '0'), current_setting('deadlock_timeout')::interval / 2
    )) * 1000))::text, true);
    perform bookingdb.lock_people(v_people, p_wait => tg_op <> 'DELETE' or bookingdb.are_therapists(v_people));
    perform set_config('lock_timeout', v_lock_timeout, true);
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
    perform bookingdb.mark_rules_changed(v_people);
    return null;
end;
$function$;

comment on function bookingdb.rules_changed() is
'Trigger on hours, overrides, policies and absences: locks and marks the therapists, whoever writes.';
