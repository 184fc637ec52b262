create or replace function bookingdb.columns_left_over()
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array(
        select d.table_name || '.' || a.attname
        from (select distinct p.table_name from bookingdb.personal_data() as p) as d
        inner join pg_attribute as a on a.attrelid = to_regclass(d.table_name)
        inner join pg_type as t on t.oid = a.atttypid
        where starts_with(d.table_name, 'public.')
            and (
                d.table_name <> 'public.booking_audit_log'
                or a.attname <> all (bookingdb.own_columns_of_log())
            )
            and a.attnum > 0
            and not a.attisdropped
            and (t.typcategory = 'S' or t.typname in ('json', 'jsonb', 'xml', 'bytea', 'hstore') or t.typcategory = 'A')
            and not exists (
                select from bookingdb.personal_data() as p
                where p.table_name = d.table_name and p.column_name = a.attname
            )
        order by 1
    );
end;
$function$;

comment on function bookingdb.columns_left_over() is
'Returns columns of an application''s own in the tables of people, sessions and lots that may hold words: erasing those is for the application.';
