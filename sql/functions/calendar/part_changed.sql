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
    v_person_id constant uuid := case when tg_op = 'DELETE' then old.id else new.id end;
    v_to_come constant tstzrange := tstzrange(clock_timestamp(), timestamptz '3000-01-01 00:00:00+00');
    v_people uuid[] := array[v_person_id];
    v_found uuid[];
    v_row record;
begin
    if tg_op = 'UPDATE' and to_jsonb(new) -> tg_argv[0] = to_jsonb(old) -> tg_argv[0] then
        return null;
    end if;

    -- As people_changed(), which comes after this: bookings in flight come first. The others of the person's sessions
    -- may change their part at this moment, too. Waiting for those found later while holding the locks of the rest
    -- could be a deadlock, so what is locked is undone, and then all are locked in order.
    loop
        begin
            perform bookingdb.lock_people(v_people, p_wait => tg_op <> 'DELETE');
            v_found := array(
                select c.therapist_id
                from bookingdb.calendar as c
                where c.client_id = v_person_id
                    and c.period && v_to_come
                    and c.kind in ('session', 'hold')
                    and c.therapist_id is not null
                union
                select c.client_id
                from bookingdb.calendar as c
                where c.therapist_id = v_person_id
                    and c.blocked && v_to_come
                    and c.kind in ('session', 'hold')
                    and c.client_id is not null
            );
            exit when v_found <@ v_people;
            v_people := v_people || v_found;
            raise exception using errcode = 'integrity_constraint_violation';
        exception
            when integrity_constraint_violation then
                continue;
        end;
    end loop;
    perform bookingdb.mark_rules_changed(array[v_person_id]);
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform bookingdb.require_current_calendar(v_person_id, null, v_to_come);
        perform bookingdb.require_current_calendar(null, v_person_id, v_to_come);
    end if;
    for v_row in
        select c.id, c.therapist_id, c.client_id
        from (
            -- Two look-ups, because two indexes cover them.
            select k.id, k.therapist_id, k.client_id, k.period
            from bookingdb.calendar as k
            where k.client_id = v_person_id
                and k.period && v_to_come
                and k.kind in ('session', 'hold')
                and k.mirror_of is null
            union
            select k.id, k.therapist_id, k.client_id, k.period
            from bookingdb.calendar as k
            where k.therapist_id = v_person_id
                and k.blocked && v_to_come
                and k.kind in ('session', 'hold')
                and k.mirror_of is null
        ) as c
        where upper(c.period) > clock_timestamp()
        order by lower(c.period), c.id
    loop
        perform bookingdb.mirror_time(v_row.id, v_row.therapist_id, v_row.client_id);
    end loop;
    return null;
end;
$function$;

comment on function bookingdb.part_changed() is
'Trigger of the adapters, per row: the sessions of somebody who becomes a therapist, or is none any more, keep their time in both parts. Argument: the column that says so.';
