create or replace function bookingdb.key_columns(p_table regclass)
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Postgres takes every unique index for one that a foreign key may refer to, unless it has a condition or an
    -- expression.
    return array(
        select a.attname::text
        from pg_index as i
        inner join pg_attribute as a
            -- A vector counts from 0. The columns after the keys are only included.
            on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
        where i.indrelid = p_table and i.indisunique and i.indpred is null and i.indexprs is null
    );
end;
$function$;

comment on function bookingdb.key_columns(regclass) is
'Returns the columns whose change locks a row of this table FOR UPDATE: others that refer to the row wait for it.';
