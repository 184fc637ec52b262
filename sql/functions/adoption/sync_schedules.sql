create or replace function bookingdb.sync_schedules(
    p_table regclass, p_columns jsonb, p_therapist_ids uuid[], p_wait boolean
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_therapist_id uuid;
    v_documents jsonb[];
    v_document jsonb;
    v_problems text[];
    v_buffer record;
    v_adopted record;
    v_dates date[];
begin
    -- A booking in flight sees all old hours or all new ones, and the reads below see what the last holder committed.
    perform bookingdb.lock_people(p_therapist_ids, p_wait);

    for v_therapist_id in
        select distinct i.id
        from unnest(p_therapist_ids) as i (id)
        where i.id is not null
        order by i.id
    loop
        begin
            v_documents := array(
                select s.document
                from bookingdb.adopted_schedules(p_table, p_columns, v_therapist_id) as s
            );
            v_problems := array(
                select distinct p.text
                from bookingdb.adopted_schedules(p_table, p_columns, v_therapist_id) as s
                cross join lateral unnest(s.problems) as p (text)
                order by p.text
            );
        exception
            -- The application's own write never fails for this.
            when syntax_error_or_access_rule_violation or data_exception or program_limit_exceeded then
                v_problems := array[sqlerrm];
        end;
        if v_problems <> '{}' then
            raise warning 'bookingdb: weekly hours of therapist % stay as they were: %',
                v_therapist_id, left(array_to_string(v_problems, '; '), 1000);
            continue;
        end if;
        v_document := v_documents[1];

        -- A schedule without hours offers no time: without require_hours it would mean any time.
        if cardinality(v_documents) > 0
            or exists (select from bookingdb.therapists as t where t.id = v_therapist_id) then
            insert into bookingdb.policies (therapist_id)
            values (v_therapist_id)
            on conflict on constraint policies_therapist_id_key do nothing;
        end if;
        select b.minutes, b.problem
        into v_buffer
        from bookingdb.schedule_buffer(v_document) as b;
        if v_buffer.problem is not null then
            raise warning 'bookingdb: buffer of therapist % stays as it was: %', v_therapist_id, v_buffer.problem;
        end if;
        update bookingdb.policies as p
        set require_hours = true,
            buffer_after_minutes = coalesce(v_buffer.minutes, p.buffer_after_minutes)
        where p.therapist_id = v_therapist_id
            and (
                p.require_hours is distinct from true
                or p.buffer_after_minutes is distinct from coalesce(v_buffer.minutes, p.buffer_after_minutes)
            );

        if array(
            select (
                w.weekday, w.start_time, w.end_time, w.valid_from, w.valid_to, w.every_weeks, w.time_zone
            )::bookingdb.weekly_window
            from bookingdb.weekly_hours as w
            where w.therapist_id = v_therapist_id
            order by w.weekday, w.start_time, w.id
        ) = array(
            select (n.weekday, n.start_time, n.end_time, null, null, 1, null)::bookingdb.weekly_window
            from bookingdb.schedule_windows(v_document) as n
            order by n.weekday, n.start_time
        ) then
            continue;
        end if;
        delete from bookingdb.weekly_hours as w
        where w.therapist_id = v_therapist_id;
        insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)
        select v_therapist_id, n.weekday, n.start_time, n.end_time
        from bookingdb.schedule_windows(v_document) as n;
        perform bookingdb.write_availability_event(v_therapist_id);

        -- Times off on a date are taken out of weekly hours, so these dates are computed anew.
        for v_adopted in
            select a.table_name, a.columns
            from bookingdb.adopted_tables() as a
            where a.kind = 'overrides'
        loop
            begin
                v_dates := array(
                    select bookingdb.date_of(r.content ->> (v_adopted.columns ->> 'date'))
                    from bookingdb.adopted_rows(v_adopted.table_name, v_adopted.columns, v_therapist_id) as r
                );
            exception
                when syntax_error_or_access_rule_violation or data_exception then
                    raise warning 'bookingdb: exceptions of therapist % stay as they were: %',
                        v_therapist_id, sqlerrm;
                    continue;
            end;
            perform bookingdb.sync_overrides(
                v_adopted.table_name,
                v_adopted.columns,
                array_fill(v_therapist_id, array[cardinality(v_dates)]),
                v_dates,
                p_wait
            );
        end loop;
    end loop;
    -- Also where nothing was written: another transaction's rows, which this snapshot may hide, could have mattered.
    perform bookingdb.mark_rules_changed(array_remove(p_therapist_ids, null));
end;
$function$;

comment on function bookingdb.sync_schedules(regclass, jsonb, uuid[], boolean) is
'Brings these therapists'' weekly hours, require_hours and buffer into step with an application''s table, under their locks. What is not understood warns and changes nothing.';
