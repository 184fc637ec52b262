create or replace function bookingdb.schedule_as_obeyed(p_document jsonb, p_columns jsonb)
returns jsonb
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_breaks constant text := p_columns ->> 'breaks';
    v_slots constant text := p_columns ->> 'slots';
    v_document jsonb := p_document;
    v_name text;
    v_day jsonb;
    v_key text;
    v_list jsonb;
    v_has_open boolean;
    v_has_hours boolean;
begin
    if v_breaks is null and v_slots is null then
        return p_document;
    end if;
    v_document := bookingdb.schedule_document(p_document);
    if jsonb_typeof(v_document -> 'standardHours') is distinct from 'object' then
        return v_document;
    end if;

    for v_name, v_day in
        select d.key, d.value
        from jsonb_each(v_document -> 'standardHours') as d
        where jsonb_typeof(d.value) = 'object'
    loop
        v_has_open := false;
        v_has_hours := exists (
            select from bookingdb.clock_window(v_day #> '{generalHours,start}', v_day #> '{generalHours,end}')
        );
        foreach v_key in array array['timeSlots', 'customSlots'] loop
            continue when jsonb_typeof(v_day -> v_key) is distinct from 'array';
            -- A slot that is not understood stays, and is listed. One without times means nothing.
            select coalesce(jsonb_agg(s.value order by s.ordinality), '[]')
            into v_list
            from jsonb_array_elements(v_day -> v_key) with ordinality as s
            where not coalesce(v_breaks = 'ignore' and bookingdb.slot_is_open(s.value) = false, false)
                and not coalesce(v_slots = 'ignore' and v_has_hours and bookingdb.slot_is_open(s.value), false);
            v_day := jsonb_set(v_day, array[v_key], v_list);
            v_has_open := v_has_open or exists (
                select from bookingdb.schedule_slots(v_list, null) as s where s.is_open and s.problem is null
            );
        end loop;
        if v_slots = 'instead' and v_has_open and jsonb_typeof(v_day -> 'generalHours') = 'object' then
            v_day := jsonb_set(v_day, '{generalHours}', (v_day -> 'generalHours') - 'start' - 'end');
        end if;
        if v_breaks = 'obey' and coalesce(jsonb_typeof(v_day -> 'timeSlots'), 'null') in ('array', 'null') then
            v_list := bookingdb.schedule_breaks(v_day) || bookingdb.schedule_breaks(v_day -> 'generalHours');
            v_day := v_day || jsonb_build_object(
                'timeSlots', coalesce(nullif(v_day -> 'timeSlots', 'null'), '[]') || v_list
            );
        end if;
        v_document := jsonb_set(v_document, array['standardHours', v_name], v_day);
    end loop;
    return v_document;
end;
$function$;

comment on function bookingdb.schedule_as_obeyed(jsonb, jsonb) is
'Returns an application''s schedule with only what it obeyed: p_columns has breaks (obey, ignore) and slots beside general hours (add, instead, ignore). Without them it stays as it is.';
