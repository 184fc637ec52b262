create or replace function bookingdb.override_parts(p_row jsonb, p_columns jsonb)
returns table (
    part text,
    starts integer,
    ends integer,
    problem text
)
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_active constant text := lower(p_row ->> (p_columns ->> 'active'));
    v_says constant text := lower(btrim(p_row ->> coalesce(p_columns ->> 'type', p_columns ->> 'available')));
    v_slots constant jsonb := bookingdb.schedule_document(p_row -> (p_columns ->> 'slots'));
    v_is_open boolean;
    v_problems text[];
begin
    if v_active = 'false' then
        return;
    end if;
    v_is_open := case
        when p_columns ? 'type' then case v_says when 'custom_hours' then true when 'unavailable' then false end
        else case v_says when 'true' then true when 'false' then false end
    end;

    v_problems := array(
        select 'it does not say whether it is active'
        where p_columns ? 'active' and v_active is distinct from 'true'
        union all
        select case
            when v_says is null then 'it does not say what holds on the date'
            else format('"%s" is unknown', left(v_says, 40))
        end
        where v_is_open is null
        union all
        select 'it ' || w.problem
        from bookingdb.clock_window(p_row -> (p_columns ->> 'start'), p_row -> (p_columns ->> 'end')) as w
        where w.problem is not null
        union all
        select 'slots' || coalesce(s.problem, ' are available on a date that is not')
        from bookingdb.schedule_slots(v_slots, coalesce(v_is_open, true)) as s
        where s.problem is not null or (s.is_open and not v_is_open)
    );
    if v_problems <> '{}' then
        return query
        select null, null::integer, null::integer, p.text
        from unnest(v_problems) as p (text);
        return;
    end if;

    return query
    select case when w.is_open then 'open' else 'off' end, w.starts, w.ends, null
    from (
        select c.starts, c.ends, v_is_open as is_open
        from bookingdb.clock_window(p_row -> (p_columns ->> 'start'), p_row -> (p_columns ->> 'end')) as c
        union all
        select s.starts, s.ends, s.is_open
        from bookingdb.schedule_slots(v_slots, v_is_open) as s
    ) as w;
    if found then
        return;
    end if;

    -- Without times the row is about the whole date.
    part := case when v_is_open then 'week' else 'closed' end;
    if v_is_open and p_columns ? 'type' then
        part := null;
        problem := 'it has custom hours and no times';
    end if;
    return next;
end;
$function$;

comment on function bookingdb.override_parts(jsonb, jsonb) is
'Returns what a row of an application''s overrides says of its date: closed, week (weekly hours stay), or open or off between two minutes. No row: inactive. problem says what is not understood.';
