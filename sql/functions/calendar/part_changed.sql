create or replace function bookingdb.part_changed()
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
    v_span constant tstzrange := tstzrange(clock_timestamp(), timestamptz '3000-01-01 00:00:00+00');
    v_wait boolean := tg_op <> 'DELETE';
    v_changed uuid[];
    v_people uuid[];
    v_found uuid[];
    v_row record;
begin
    if tg_op = 'INSERT' then
        v_changed := array(select n.id from new_rows as n);
    elsif tg_op = 'DELETE' then
        v_changed := array(select o.id from old_rows as o);
    else
        v_changed := array(
            select n.id
            from new_rows as n
            inner join old_rows as o on o.id = n.id
            where to_jsonb(n) -> tg_argv[0] is distinct from to_jsonb(o) -> tg_argv[0]
        );
    end if;
    if v_changed = '{}' then
        return null;
    end if;
    if tg_op = 'UPDATE' then
        v_wait := not bookingdb.changes_keys(
            tg_relid, array(select to_jsonb(o) from old_rows as o), array(select to_jsonb(n) from new_rows as n)
        );
    end if;

    -- As people_changed(), which comes after this: bookings in flight come first. The others of these people's sessions
    -- may change their part at this moment, too. Waiting for those found later while holding the locks of the rest
    -- could be a deadlock, so what is locked is undone, and then all are locked in order.
    v_people := v_changed;
    loop
        begin
            perform bookingdb.lock_people(v_people, p_wait => v_wait);
            v_found := array(
                select p.id
                from bookingdb.times_to_come(v_changed) as t
                cross join lateral unnest(array[t.therapist_id, t.client_id]) as p (id)
                where p.id is not null
            );
            exit when v_found <@ v_people;
            v_people := v_people || v_found;
            raise exception using errcode = 'integrity_constraint_violation';
        exception
            when integrity_constraint_violation then
                continue;
        end;
    end loop;
    perform bookingdb.mark_rules_changed(v_changed);
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform
            bookingdb.require_current_calendar(p.id, null, v_span),
            bookingdb.require_current_calendar(null, p.id, v_span)
        from unnest(v_changed) as p (id)
        order by p.id;
    end if;
    for v_row in
        select distinct t.id, t.therapist_id, t.client_id, lower(t.period) as start_time
        from bookingdb.times_to_come(v_changed) as t
        order by start_time, t.id
    loop
        perform bookingdb.mirror_time(v_row.id, v_row.therapist_id, v_row.client_id);
    end loop;
    return null;
end;
$function$;

comment on function bookingdb.part_changed() is
'Trigger of the adapters, per statement: the sessions of somebody who becomes a therapist, or is none any more, keep their time in both parts. Argument: the column that says so.';
