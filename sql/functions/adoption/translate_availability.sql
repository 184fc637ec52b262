create or replace function bookingdb.translate_availability(p_table regclass)
returns table (
    table_name text,
    rows_read bigint,
    rows_unread bigint
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_adopted record;
    v_people uuid[];
    v_dates date[];
begin
    if p_table is not null and not exists (
        select from bookingdb.adopted_tables() as a where a.table_name = p_table
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_table', 'reason', 'unknown'
        ));
    end if;

    for v_adopted in
        select a.table_name, a.kind, a.columns
        from bookingdb.adopted_tables() as a
        where a.table_name = p_table or p_table is null
    loop
        select
            coalesce(array_agg(r.therapist_id), '{}'),
            array_agg(bookingdb.date_of(r.content ->> (v_adopted.columns ->> 'date')))
        into v_people, v_dates
        from bookingdb.adopted_rows(v_adopted.table_name, v_adopted.columns, null) as r;
        if v_adopted.kind = 'schedules' then
            perform bookingdb.sync_schedules(v_adopted.table_name, v_adopted.columns, v_people, true);
        else
            perform bookingdb.sync_overrides(v_adopted.table_name, v_adopted.columns, v_people, v_dates, true);
        end if;

        table_name := v_adopted.table_name;
        rows_unread := (
            select count(distinct u.row_key)
            from bookingdb.unread_availability(v_adopted.kind, v_adopted.table_name, v_adopted.columns) as u
        );
        rows_read := cardinality(v_people) - rows_unread;
        return next;
    end loop;
end;
$function$;

comment on function bookingdb.translate_availability(regclass) is
'Adopts all rows of an availability table with the triggers, or (NULL) of all such tables. Returns how many were understood and how many not (untranslated_availability). Raises: invalid_parameter.';
