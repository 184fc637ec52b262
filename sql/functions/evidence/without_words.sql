create or replace function bookingdb.without_words(p_values jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if jsonb_typeof(p_values) is distinct from 'object' then
        return case when p_values is null then null when jsonb_typeof(p_values) = 'null' then p_values else '{}' end;
    end if;
    return (
        select coalesce(jsonb_object_agg(v.key, v.value), '{}')
        from jsonb_each(p_values) as v
        where v.key = any (bookingdb.columns_without_words())
            or v.key in ('user_type', 'is_active', 'is_verified', 'category', 'expires_at')
            or jsonb_typeof(v.value) not in ('string', 'object', 'array')
    );
end;
$function$;

comment on function bookingdb.without_words(jsonb) is
'Returns the columns of a row as it was kept (bookingdb.adoption) that cannot have anybody''s words.';
