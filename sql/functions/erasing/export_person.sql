-- Public.
create or replace function bookingdb.export_person(p_user_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_ids uuid[];
    v_table record;
    v_rows jsonb;
    v_held jsonb := '{}';
begin
    perform bookingdb.authorise(p_user_id);
    v_ids := bookingdb.ids_of_person(p_user_id);
    -- An id that was given up may have been somebody else's: the person they became asks for it.
    if not bookingdb.caller_is_trusted() and v_ids[1] <> p_user_id then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('user_id', p_user_id));
    end if;

    for v_table in
        select d.table_name, string_agg(distinct format('(%s)', d.condition), ' or ') as condition
        from bookingdb.personal_data() as d
        where d.condition is not null
        group by d.table_name
        order by d.table_name
    loop
        execute format(
            'select jsonb_agg(r.shown)'
            ' from (select bookingdb.shown_record(%1$L, to_jsonb(t), $1) as shown from %1$s as t'
            ' where %2$s) as r where r.shown is not null',
            v_table.table_name, v_table.condition
        )
        into v_rows
        using v_ids;
        if v_rows is not null then
            v_held := v_held || jsonb_build_object(split_part(v_table.table_name, '.', 2), v_rows);
        end if;
    end loop;
    v_rows := (select jsonb_agg(to_jsonb(p)) from bookingdb.people as p where p.id = any (v_ids));
    if v_rows is null and v_held = '{}' then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
    return jsonb_build_object('ids', v_ids, 'people', coalesce(v_rows, '[]')) || v_held;
end;
$function$;

comment on function bookingdb.export_person(uuid) is
'Returns everything that is held of a person, a list of rows for each table that has some, under all ids that they had. No other client is in it: a therapist''s has the times of their sessions, and no client. For the user themselves and for trusted callers. Raises: not_allowed, user_not_found.';
