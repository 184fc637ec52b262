create or replace function bookingdb.schedules_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_columns constant jsonb := jsonb_object(tg_argv);
    v_therapist constant text := v_columns ->> 'therapist';
    v_people uuid[];
begin
    begin
        if tg_op = 'INSERT' then
            v_people := array(select bookingdb.uuid_of(btrim(to_jsonb(n) ->> v_therapist)) from new_rows as n);
        elsif tg_op = 'UPDATE' then
            v_people := array(
                select bookingdb.uuid_of(btrim(to_jsonb(n) ->> v_therapist)) from new_rows as n
                union all
                select bookingdb.uuid_of(btrim(to_jsonb(o) ->> v_therapist)) from old_rows as o
            );
        else
            v_people := array(select bookingdb.uuid_of(btrim(to_jsonb(o) ->> v_therapist)) from old_rows as o);
        end if;
    exception
        -- A column of type json may hold what jsonb cannot.
        when data_exception then
            raise warning 'bookingdb: rows of % cannot be read: %', tg_relid::regclass, sqlerrm;
            return null;
    end;
    if array_position(v_people, null) is not null then
        raise warning 'bookingdb: a row of % has a therapist whose id is no UUID', tg_relid::regclass;
    end if;

    perform bookingdb.sync_schedules(
        tg_relid, v_columns, v_people, tg_op <> 'DELETE' or bookingdb.are_therapists(v_people)
    );
    return null;
end;
$function$;

comment on function bookingdb.schedules_changed() is
'Trigger on an application''s table of schedules, per statement: keeps hours in step. Arguments: therapist, document, active with their columns; breaks, slots (schedule_as_obeyed).';
