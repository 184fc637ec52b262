create or replace function bookingdb.schedule_breaks(p_part jsonb)
returns jsonb
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if jsonb_typeof(p_part) <> 'object' then
        return '[]';
    end if;
    return coalesce((
        select jsonb_agg(
            case jsonb_typeof(b.value)
                when 'object' then (b.value - 'isAvailable' - 'is_available') || '{"type": "break"}'
                else b.value
            end
        )
        from jsonb_each(p_part) as k
        cross join lateral jsonb_array_elements(
            case jsonb_typeof(k.value) when 'array' then k.value else jsonb_build_array(k.value) end
        ) as b (value)
        where bookingdb.is_break(k.key)
            and b.value not in ('null', 'false', '""')
            and lower(coalesce(b.value ->> 'enabled', b.value ->> 'isActive', 'true')) <> 'false'
    ), '[]');
end;
$function$;

comment on function bookingdb.schedule_breaks(jsonb) is
'Returns the breaks that stand under keys of their own in a day of an application''s schedule, as slots of type break. What is no object stays as it is, so that the reader of slots lists it.';
