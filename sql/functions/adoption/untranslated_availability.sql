create or replace function bookingdb.untranslated_availability()
returns table (
    table_name text,
    row_key jsonb,
    therapist_id text,
    override_date text,
    problem text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_adopted record;
begin
    for v_adopted in select a.table_name, a.kind, a.columns from bookingdb.adopted_tables() as a loop
        begin
            return query
            select u.table_name, u.row_key, u.therapist_id, u.override_date, u.problem
            from bookingdb.unread_availability(v_adopted.kind, v_adopted.table_name, v_adopted.columns) as u;
        exception
            -- The table cannot be read at all.
            when syntax_error_or_access_rule_violation or data_exception then
                return query
                select v_adopted.table_name::text, null::jsonb, null::text, null::text, sqlerrm;
        end;
    end loop;
end;
$function$;

comment on function bookingdb.untranslated_availability() is
'Returns what the application''s availability tables now hold that could not be adopted, and why (unread_availability). The hours of these therapists are what they were before.';
