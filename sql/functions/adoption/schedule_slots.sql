create or replace function bookingdb.schedule_slots(p_slots jsonb, p_is_open boolean)
returns table (
    starts integer,
    ends integer,
    is_open boolean,
    problem text
)
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_slot jsonb;
    v_number bigint;
    v_start jsonb;
    v_end jsonb;
    v_says text;
begin
    if p_slots is null or p_slots = 'null' then
        return;
    end if;
    if jsonb_typeof(p_slots) <> 'array' then
        problem := ' is no list';
        return next;
        return;
    end if;

    for v_slot, v_number in
        select s.value, s.ordinality - 1
        from jsonb_array_elements(p_slots) with ordinality as s
        where s.value <> 'null'
    loop
        v_start := coalesce(v_slot -> 'start', v_slot -> 'start_time', v_slot -> 'startTime');
        v_end := coalesce(v_slot -> 'end', v_slot -> 'end_time', v_slot -> 'endTime');
        v_says := lower(coalesce(v_slot ->> 'isAvailable', v_slot ->> 'is_available', v_slot ->> 'type'));
        is_open := case when v_says is null then p_is_open else bookingdb.slot_is_open(v_slot) end;

        for starts, ends, problem in
            select w.starts, w.ends, w.problem
            from bookingdb.clock_window(v_start, v_end) as w
            union all
            select null, null, 'is no object'
            where jsonb_typeof(v_slot) <> 'object'
        loop
            if problem is null and is_open is null then
                problem := case
                    when v_says is null then 'does not say whether it is available'
                    else format('is "%s", which is unknown', left(v_says, 40))
                end;
            end if;
            problem := format('[%s] ', v_number) || problem;
            return next;
        end loop;
    end loop;
end;
$function$;

comment on function bookingdb.schedule_slots(jsonb, boolean) is
'Reads an application''s array of slots: available by isAvailable or type, else p_is_open (NULL: not understood). Slots without times are ignored. problem says what is not understood, and where.';
