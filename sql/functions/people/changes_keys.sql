create or replace function bookingdb.changes_keys(p_table regclass, p_old_rows jsonb[], p_new_rows jsonb[])
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Postgres takes every unique index for one that a foreign key may refer to, unless it has a condition or an
    -- expression. A changed id is one in any case.
    v_columns constant text[] := text 'id' || array(
        select a.attname::text
        from pg_index as i
        inner join pg_attribute as a
            -- A vector counts from 0. The columns after the keys are only included.
            on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
        where i.indrelid = p_table and i.indisunique and i.indpred is null and i.indexprs is null
    );
begin
    return exists (
        select array(select o.value ->> c.name from unnest(v_columns) as c (name)) as key
        from unnest(p_old_rows) as o (value)
        except
        select array(select n.value ->> c.name from unnest(v_columns) as c (name)) as key
        from unnest(p_new_rows) as n (value)
    );
end;
$function$;

comment on function bookingdb.changes_keys(regclass, jsonb[], jsonb[]) is
'Says whether an UPDATE of a table changed an id or a value of a unique index: then it locks its rows FOR UPDATE, and others that refer to them wait.';
