create or replace function bookingdb.settle_columns()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_old constant jsonb := case tg_op when 'UPDATE' then to_jsonb(old) end;
    v_new jsonb;
    v_local timestamp;
    v_copied jsonb := '{}';
begin
    -- 1. A trigger of the application may have written times after they were settled. Start and end hold.
    if tg_op = 'INSERT'
        or (new.scheduled_date, new.scheduled_time, new.start_time, new.end_time, new.duration_minutes)
        is distinct from (old.scheduled_date, old.scheduled_time, old.start_time, old.end_time, old.duration_minutes)
    then
        if new.start_time < new.end_time
            and isfinite(new.start_time)
            and new.end_time <= new.start_time + interval '10080 minutes'
            and abs(extract(epoch from new.end_time - new.start_time) - 60 * new.duration_minutes) >= 60 then
            new.duration_minutes := extract(epoch from new.end_time - new.start_time)::integer / 60;
        end if;
        v_local := (
            select new.start_time at time zone z.name
            from bookingdb.time_zones as z
            where z.name = new.time_zone and isfinite(new.start_time)
        );
        if not bookingdb.is_same_minute(v_local, new.scheduled_date + new.scheduled_time) then
            new.scheduled_date := v_local::date;
            new.scheduled_time := v_local::time;
        end if;
    end if;

    -- 2. Ours are what holds now, and theirs follow.
    v_new := to_jsonb(new);
    for v_number in 0..tg_nargs - 1 by 2 loop
        v_copied := v_copied || bookingdb.copied_pair(
            tg_relid, tg_argv[v_number], tg_argv[v_number + 1], v_old, v_new, true
        );
    end loop;
    if v_copied <> '{}' then
        new := jsonb_populate_record(new, v_copied);
    end if;
    return new;
end;
$function$;

comment on function bookingdb.settle_columns() is
'Trigger (BEFORE, per row, the last one) of an adopted database: the application''s column of each pair becomes what bookingdb''s is, once the times are settled.';
