create or replace function bookingdb.erasure_of_column(p_table regclass, p_column text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        select format('%I = %s', a.attname, case
            when not a.attnotnull then 'null'
            when p_table = to_regclass('public.therapist_enrollments') then 'gen_random_uuid() || ''@erased.invalid'''
            when a.attname = 'email' then 't.id || ''@erased.invalid'''
            else ''''''
        end)
        from pg_attribute as a
        where a.attrelid = p_table and a.attname = p_column and not a.attisdropped
    );
end;
$function$;

comment on function bookingdb.erasure_of_column(regclass, text) is
'Returns the assignment that erases a column: NULL, or where it may not be NULL, an address that is nobody''s, or no text. t is the row.';
