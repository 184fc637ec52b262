create or replace function bookingdb.adopted_tables()
returns table (
    table_name regclass,
    kind text,
    columns jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select distinct
        t.tgrelid::regclass,
        case p.proname when 'schedules_changed' then 'schedules' else 'overrides' end,
        -- Each argument ends with a zero byte.
        jsonb_object(array(
            select convert_from(decode(a.hex, 'hex'), getdatabaseencoding())
            from regexp_split_to_table(
                regexp_replace(encode(t.tgargs, 'hex'), '(..)', '\1 ', 'g'), '00 '
            ) with ordinality as s (text, number)
            cross join lateral (select replace(s.text, ' ', '') as hex) as a
            where s.number <= t.tgnargs
            order by s.number
        ))
    from pg_trigger as t
    inner join pg_proc as p on p.oid = t.tgfoid
    where p.pronamespace = 'bookingdb'::regnamespace
        and p.proname in ('schedules_changed', 'overrides_changed')
        and t.tgenabled <> 'D'
    order by 2 desc, 1;
end;
$function$;

comment on function bookingdb.adopted_tables() is
'Returns the application''s availability tables that are kept in step, schedules first: those with the triggers, whose arguments name the columns.';
