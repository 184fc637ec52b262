create or replace function bookingdb.erased_payload(p_payload jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Events of ours have nothing else; an application may have written its own.
    return (
        select coalesce(jsonb_object_agg(p.key, p.value), '{}')
        from jsonb_each(case when jsonb_typeof(p_payload) = 'object' then p_payload else '{}' end) as p
        where jsonb_typeof(p.value) in ('number', 'boolean', 'null')
            or bookingdb.uuid_of(p.value #>> '{}') is not null
            or p.value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}Z$'
            or p.key in ('old_status', 'new_status', 'kept')
            or (p.key = 'actor' and (
                p.value #>> '{}' in ('bookingdb', 'uninstalled')
                or exists (select from pg_roles as r where r.rolname = p.value #>> '{}')
            ))
            or (p.key = 'columns' and p.value <@ (
                select jsonb_agg(a.attname) from pg_attribute as a where a.attrelid = 'public.sessions'::regclass
            ))
    );
end;
$function$;

comment on function bookingdb.erased_payload(jsonb) is
'Returns what an event says without words: ids, timestamps, figures, statuses, roles and columns.';
