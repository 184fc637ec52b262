create or replace function bookingdb.sync_overrides(
    p_table regclass, p_columns jsonb, p_therapist_ids uuid[], p_dates date[], p_wait boolean
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_therapist_id uuid;
    v_has_changed boolean;
    v_date date;
    v_dates date[];
    v_rows jsonb[];
    v_number integer;
    v_starts time[];
    v_ends time[];
    v_problems text[];
begin
    perform bookingdb.lock_people(p_therapist_ids, p_wait);

    for v_therapist_id, v_dates in
        select i.id, array_agg(distinct i.on_date order by i.on_date)
        from unnest(p_therapist_ids, p_dates) as i (id, on_date)
        where i.id is not null and i.on_date is not null
        group by i.id
        order by i.id
    loop
        begin
            v_rows := array(
                select coalesce(jsonb_agg(r.content) filter (where r.content is not null), '[]')
                from unnest(v_dates) as d (on_date)
                left join bookingdb.adopted_rows(p_table, p_columns, v_therapist_id) as r
                    on bookingdb.date_of(r.content ->> (p_columns ->> 'date')) = d.on_date
                group by d.on_date
                order by d.on_date
            );
        exception
            -- The application's own write never fails for this.
            when syntax_error_or_access_rule_violation or data_exception or program_limit_exceeded then
                raise warning 'bookingdb: exceptions of therapist % stay as they were: %', v_therapist_id, sqlerrm;
                continue;
        end;

        v_has_changed := false;
        for v_number in 1 .. cardinality(v_dates) loop
            v_date := v_dates[v_number];
            select
                coalesce(array_agg(w.start_time order by w.start_time) filter (where w.problem is null), '{}'),
                coalesce(array_agg(w.end_time order by w.start_time) filter (where w.problem is null), '{}'),
                coalesce(array_agg(distinct w.problem) filter (where w.problem is not null), '{}')
            into v_starts, v_ends, v_problems
            from bookingdb.override_windows(
                v_rows[v_number], p_columns, bookingdb.week_minutes(v_therapist_id, v_date)
            ) as w;
            if v_problems <> '{}' then
                raise warning 'bookingdb: hours of therapist % on % stay as they were: %',
                    v_therapist_id, to_char(v_date, 'YYYY-MM-DD'), left(array_to_string(v_problems, '; '), 1000);
            elsif v_starts is distinct from array(
                select o.start_time
                from bookingdb.date_overrides as o
                where o.therapist_id = v_therapist_id and o.override_date = v_date
                order by o.start_time, o.id
            ) or v_ends is distinct from array(
                select o.end_time
                from bookingdb.date_overrides as o
                where o.therapist_id = v_therapist_id and o.override_date = v_date
                order by o.start_time, o.id
            ) then
                v_has_changed := true;
                delete from bookingdb.date_overrides as o
                where o.therapist_id = v_therapist_id and o.override_date = v_date;
                insert into bookingdb.date_overrides (therapist_id, override_date, start_time, end_time)
                select v_therapist_id, v_date, w.start_time, w.end_time
                from unnest(v_starts, v_ends) as w (start_time, end_time);
            end if;
        end loop;
        if v_has_changed then
            perform bookingdb.write_availability_event(v_therapist_id);
        end if;
    end loop;
    -- Also where nothing was written: another transaction's rows, which this snapshot may hide, could have mattered.
    perform bookingdb.mark_rules_changed(array_remove(p_therapist_ids, null));
end;
$function$;

comment on function bookingdb.sync_overrides(regclass, jsonb, uuid[], date[], boolean) is
'Brings these therapists'' overrides, on the dates in the same places of p_dates, into step with an application''s table, under their locks. What is not understood warns and changes nothing.';
