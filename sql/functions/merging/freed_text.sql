create or replace function bookingdb.freed_text(p_column text, p_user_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        select case
            when not a.attnotnull then null
            when p_column = 'email' then p_user_id || '@merged.invalid'
            else ''
        end
        from pg_attribute as a
        where a.attrelid = to_regclass('public.users') and a.attname = p_column and not a.attisdropped
    );
end;
$function$;

comment on function bookingdb.freed_text(text, uuid) is
'Returns what a column of public.users (email, full_name) holds of somebody who was merged: NULL, or where it may not be NULL, an address that is nobody''s or no name.';
