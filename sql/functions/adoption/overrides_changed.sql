create or replace function bookingdb.overrides_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_columns constant jsonb := jsonb_object(tg_argv);
    v_rows jsonb[];
    v_people uuid[];
    v_dates date[];
begin
    begin
        if tg_op = 'INSERT' then
            v_rows := array(select to_jsonb(n) from new_rows as n);
        elsif tg_op = 'UPDATE' then
            v_rows := array(select to_jsonb(n) from new_rows as n union all select to_jsonb(o) from old_rows as o);
        else
            v_rows := array(select to_jsonb(o) from old_rows as o);
        end if;
    exception
        -- A column of type json may hold what jsonb cannot.
        when data_exception then
            raise warning 'bookingdb: rows of % cannot be read: %', tg_relid::regclass, sqlerrm;
            return null;
    end;
    select
        array_agg(bookingdb.uuid_of(btrim(r.content ->> (v_columns ->> 'therapist'))) order by r.number),
        array_agg(bookingdb.date_of(r.content ->> (v_columns ->> 'date')) order by r.number)
    into v_people, v_dates
    from unnest(v_rows) with ordinality as r (content, number);
    if array_position(v_people, null) is not null or array_position(v_dates, null) is not null then
        raise warning 'bookingdb: a row of % has no therapist or date', tg_relid::regclass;
    end if;

    perform bookingdb.sync_overrides(
        tg_relid, v_columns, v_people, v_dates, tg_op <> 'DELETE' or bookingdb.are_therapists(v_people)
    );
    return null;
end;
$function$;

comment on function bookingdb.overrides_changed() is
'Trigger on an application''s table of overrides, per statement: brings the overrides of its therapists into step. Its arguments pair therapist, date and the columns of override_parts() with names.';
