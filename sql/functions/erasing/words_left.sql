create or replace function bookingdb.words_left()
returns table (table_name text, rows bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_part record;
    v_people uuid[];
    v_test text;
begin
    if not exists (select from bookingdb.erasures) then
        return;
    end if;
    for v_part in
        select
            d.table_name as name,
            d.condition,
            d.erasure,
            d.kind,
            array_agg(bookingdb.erasure_of_column(to_regclass(d.table_name), d.column_name) order by d.place) as sets
        from bookingdb.personal_data() with ordinality as d (table_name, condition, column_name, kind, erasure, place)
        where d.kind in ('identity', 'payments', 'records', 'evidence')
            -- An enrollment is found by the address alone.
            and d.table_name <> 'public.therapist_enrollments'
        group by d.table_name, d.condition, d.erasure, d.kind
        order by min(d.place)
    loop
        v_people := array(
            select distinct e.person_id from bookingdb.erasures as e where v_part.kind <> all (e.kept)
        );
        v_test := case v_part.erasure
            when 'reduced' then format('bookingdb.erased_record(%L, to_jsonb(t)) <> to_jsonb(t)', v_part.name)
            when 'deleted' then 'true'
            else 'not (' || replace(array_to_string(v_part.sets, ' and '), ' = ', ' is not distinct from ') || ')'
        end;
        -- A request that nobody approved lapses later, which is our word.
        v_test := v_test || case v_part.name
            when 'public.sessions' then ' and t.cancellation_reason is distinct from ''lapsed'''
            when 'bookingdb.texts' then ' and t.text <> ''lapsed'''
            else ''
        end;
        execute format(
            'select %1$L::text, count(*) from %1$s as t where (%2$s) and %3$s', v_part.name, v_part.condition, v_test
        )
        into table_name, rows
        using v_people;
        if rows > 0 then
            return next;
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.words_left() is
'Returns how many rows of which tables have words of people whose erasure is on record: they came later, or were never taken.';
