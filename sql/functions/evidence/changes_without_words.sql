create or replace function bookingdb.changes_without_words(p_changes jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if jsonb_typeof(p_changes) <> 'object' then
        return '{}';
    end if;
    return (
        select coalesce(jsonb_object_agg(c.key, case
            when c.key = any (bookingdb.columns_without_words()) then c.value
            when jsonb_typeof(c.value) <> 'object' then '{}'
            -- References stay, and figures.
            else (
                select coalesce(jsonb_object_agg(v.key, v.value), '{}')
                from jsonb_each(c.value) as v
                where jsonb_typeof(v.value) not in ('string', 'object', 'array')
            )
        end), '{}')
        from jsonb_each(p_changes) as c
    );
end;
$function$;

comment on function bookingdb.changes_without_words(jsonb) is
'Returns the changes of an audit row without words that it has itself, as rows of earlier versions do: the fact stays.';
