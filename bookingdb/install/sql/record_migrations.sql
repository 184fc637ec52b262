-- In an adopted database, records what takes away again what migrations have added to the application's tables, or
-- changed there: `bookingdb adopt --undo` runs it. The phases are those of an adoption.
do $record$
begin
    if to_regclass('bookingdb.adoption') is null then
        return;
    end if;
    with
        before as (
            select p.*
            from jsonb_to_recordset(current_setting('bookingdb.before_migrations')::jsonb) as p (
                table_name text, phase integer, name text, remaking text, removal text
            )
        ),

        after as (
            :parts
        )

    insert into bookingdb.adoption (kind, object, original, adopted)
    select
        'statement',
        format('%s of public.%s', coalesce(a.name, b.name), coalesce(a.table_name, b.table_name)),
        jsonb_build_object(
            'phase', coalesce(a.phase, b.phase), 'undo', to_jsonb(array_remove(array[a.removal, b.remaking], null))
        ),
        '{}'
    from before as b
    full join after as a on b.table_name = a.table_name and b.name = a.name
    -- Other tables are not the application's, and go as a whole.
    inner join bookingdb.adoption as p
        on p.kind = 'plan' and p.original -> 'tables' ? coalesce(a.table_name, b.table_name)
    where b.name is null or a.remaking <> b.remaking or (a.name is null and b.remaking is not null)
    order by coalesce(a.phase, b.phase), coalesce(a.table_name, b.table_name), coalesce(a.name, b.name) collate "C";
end;
$record$
