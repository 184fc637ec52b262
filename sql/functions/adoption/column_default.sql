create or replace function bookingdb.column_default(p_table oid, p_column text, p_type text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_expression constant text := (
        select pg_get_expr(d.adbin, d.adrelid)
        from pg_attribute as a
        inner join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
        where a.attrelid = p_table and a.attname = p_column
    );
    v_default jsonb;
begin
    -- A default that takes the next number is another one each time, and asking would use one up.
    if v_expression is null or v_expression like '%nextval(%' then
        return null;
    end if;
    execute format('select to_jsonb((%s)::%s)', v_expression, p_type) into v_default;
    return v_default;
end;
$function$;

comment on function bookingdb.column_default(oid, text, text) is
'Returns the value that a column of this type gets when a row is inserted without it. NULL: it has no default, or takes numbers from a sequence.';
