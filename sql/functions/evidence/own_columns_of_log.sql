create or replace function bookingdb.own_columns_of_log()
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_ours constant text[] := array[
        'id', 'entry', 'session_id', 'user_id', 'action', 'old_status', 'new_status', 'changes', 'actor', 'created_at'
    ];
begin
    return array(
        select a.attname::text
        from pg_attribute as a
        where a.attrelid = 'public.booking_audit_log'::regclass
            and a.attnum > 0
            and not a.attisdropped
            and not a.attnotnull
            and a.attname <> all (c_ours)
            and a.atttypid::regtype::text in ('text', 'character varying', 'json', 'jsonb')
        order by a.attnum
    );
end;
$function$;

comment on function bookingdb.own_columns_of_log() is
'Returns the columns for text that an application''s own audit log has besides ours, and that can be NULL.';
