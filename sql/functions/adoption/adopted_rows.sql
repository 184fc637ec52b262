create or replace function bookingdb.adopted_rows(p_table regclass, p_columns jsonb, p_therapist_id uuid)
returns table (
    therapist_id uuid,
    row_key jsonb,
    content jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $function$
declare
    v_therapist constant text := p_columns ->> 'therapist';
    v_key text;
    v_condition text;
begin
    -- The primary key tells rows apart, or else the whole row does.
    select format('jsonb_build_object(%s)', string_agg(format('%1$L, to_jsonb(t.%1$I)', a.attname), ', '))
    into v_key
    from pg_index as i
    inner join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
    where i.indrelid = p_table and i.indisprimary
    having count(*) > 0;

    -- A uuid is compared as it is, so that the application's index can serve.
    select case
        when p_therapist_id is null then 'true'
        when a.atttypid = 'uuid'::regtype then format('t.%I = $1', a.attname)
        else format('bookingdb.uuid_of(btrim(t.%I::text)) = $1', a.attname)
    end
    into v_condition
    from pg_attribute as a
    where a.attrelid = p_table and a.attname = v_therapist and not a.attisdropped;
    if v_condition is null then
        raise undefined_column using message = format('%s has no column "%s"', p_table, v_therapist);
    end if;

    -- Rows that a row policy hides from the owner raise an error (row_security): they must not look missing.
    return query execute format(
        'select bookingdb.uuid_of(btrim(t.%I::text)), %s, to_jsonb(t) from %s as t where %s',
        v_therapist, coalesce(v_key, 'to_jsonb(t)'), p_table, v_condition
    ) using p_therapist_id;
end;
$function$;

comment on function bookingdb.adopted_rows(regclass, jsonb, uuid) is
'Returns the rows of an application''s availability table, of one therapist or (NULL) of all: therapist (NULL where the id is no UUID), key and row. Raises: 42703, 42501.';
