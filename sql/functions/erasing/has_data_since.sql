create or replace function bookingdb.has_data_since(p_person_id uuid, p_at timestamptz)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_part record;
    v_has_data boolean;
begin
    for v_part in
        select distinct d.table_name, d.condition, a.attname as column_name
        from bookingdb.personal_data() as d
        inner join pg_attribute as a
            on a.attrelid = to_regclass(d.table_name) and a.attname in ('created_at', 'rewritten_at')
        where d.kind in ('payments', 'records', 'evidence') and d.condition is not null and not a.attisdropped
    loop
        execute format(
            'select exists (select from %s as t where t.%I > $2 and (%s))',
            v_part.table_name, v_part.column_name, v_part.condition
        )
        into v_has_data
        using array[p_person_id], p_at;
        if v_has_data then
            return true;
        end if;
    end loop;
    return exists (select from bookingdb.people as p where p.id = p_person_id and p.is_active);
end;
$function$;

comment on function bookingdb.has_data_since(uuid, timestamptz) is
'Says whether a person has something that came after a time (an erasure), or is active.';
