create or replace function bookingdb.words_left()
returns table (table_name text, rows bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_part record;
    v_ids uuid[];
    v_test text;
    v_rows bigint;
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
        where d.kind in ('identity', 'payments', 'records', 'evidence', 'hours')
            and d.column_name is not null
            -- An enrollment is found by the address alone.
            and d.table_name <> 'public.therapist_enrollments'
        group by d.table_name, d.condition, d.erasure, d.kind
        order by min(d.place)
    loop
        -- Everything counts of people who are gone, and all that is older than their erasure of people who came back.
        table_name := v_part.name;
        rows := 0;
        for v_ids, v_test in
            select array_agg(e.person_id), case v_part.erasure
                when 'reduced' then format(
                    'bookingdb.erased_record(%L, to_jsonb(t), %L) <> to_jsonb(t)',
                    v_part.name, case when not e.is_back then 'infinity' end
                )
                when 'deleted' then 'true'
                else 'not (' || replace(array_to_string(v_part.sets, ' and '), ' = ', ' is not distinct from ') || ')'
            end
            from (
                select
                    o.person_id,
                    exists (
                        select from bookingdb.people as p
                        where p.id = (bookingdb.ids_of_person(o.person_id))[1] and p.is_active
                    ) as is_back
                from (select distinct r.person_id from bookingdb.erasures as r) as o
            ) as e
            where (v_part.erasure = 'reduced' or not e.is_back)
                and bookingdb.is_erased(
                    array[e.person_id], v_part.kind,
                    case when e.is_back then '-infinity' else 'infinity' end::timestamptz
                )
            group by e.is_back
        loop
            -- A request that nobody approved lapses later, which is our word.
            execute format(
                'select count(*) from %s as t where (%s) and %s%s',
                v_part.name, v_part.condition, v_test, case v_part.name
                    when 'public.sessions' then ' and t.cancellation_reason is distinct from ''lapsed'''
                    when 'bookingdb.texts' then ' and t.text <> ''lapsed'''
                    else ''
                end
            )
            into v_rows
            using v_ids;
            rows := rows + v_rows;
        end loop;
        if rows > 0 then
            return next;
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.words_left() is
'Returns how many rows of which tables have words of people whose erasure is on record, and took them or would have: they came later to somebody who is gone, or were never taken.';
