create or replace function bookingdb.resolved_changes(p_changes jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An application's own log may hold anything.
    if jsonb_typeof(p_changes) <> 'object' then
        return p_changes;
    end if;
    return (
        select coalesce(jsonb_object_agg(c.key, case
            when jsonb_typeof(c.value) = 'object' and c.value ?| array['old_text_id', 'new_text_id'] then
                jsonb_build_object(
                    'old', (select t.text from bookingdb.texts as t where t.id = r.old_id),
                    'new', (select t.text from bookingdb.texts as t where t.id = r.new_id)
                )
            else c.value
        end), '{}')
        from jsonb_each(p_changes) as c
        cross join lateral (
            select
                jsonb_extract_path_text(c.value, 'old_text_id')::bigint as old_id,
                jsonb_extract_path_text(c.value, 'new_text_id')::bigint as new_id
            where jsonb_typeof(c.value) = 'object'
            union all
            select null, null
            where jsonb_typeof(c.value) <> 'object'
        ) as r
    );
end;
$function$;

comment on function bookingdb.resolved_changes(jsonb) is
'Returns the changes of an audit row with the words that they refer to: {"title": {"old": ..., "new": ...}}. Words that were erased are NULL.';
