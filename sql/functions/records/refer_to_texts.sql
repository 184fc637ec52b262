create or replace function bookingdb.refer_to_texts(
    p_column text,
    p_old public.sessions,
    p_new public.sessions
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_changed constant jsonb := jsonb_build_object(
        'old', to_jsonb(p_old) -> p_column, 'new', to_jsonb(p_new) -> p_column
    );
    v_old constant text := v_changed ->> 'old';
    v_new constant text := v_changed ->> 'new';
    v_old_id bigint;
    v_new_id bigint;
begin
    -- Figures are no words.
    if not array[jsonb_typeof(v_changed -> 'old'), jsonb_typeof(v_changed -> 'new')]
        && array['string', 'object', 'array'] then
        return v_changed;
    end if;
    if v_old is not null then
        -- An aggregate, because the primary key could answer LIMIT 1 by reading all that came since.
        select max(k.id)
        into v_old_id
        from (
            select t.id
            from bookingdb.texts as t
            where t.session_id = p_old.id
                and t.column_name = p_column
                and t.user_id is not distinct from p_old.user_id
                and t.text = v_old
            offset 0
        ) as k;
        if v_old_id is null then
            insert into bookingdb.texts (session_id, user_id, column_name, text)
            values (p_old.id, p_old.user_id, p_column, v_old)
            returning id into v_old_id;
        end if;
    end if;
    if v_new is not null then
        insert into bookingdb.texts (session_id, user_id, column_name, text, actor)
        values (p_new.id, p_new.user_id, p_column, v_new, bookingdb.actor())
        returning id into v_new_id;
    end if;
    return jsonb_strip_nulls(jsonb_build_object('old_text_id', v_old_id, 'new_text_id', v_new_id));
end;
$function$;

comment on function bookingdb.refer_to_texts(text, public.sessions, public.sessions) is
'Keeps the words that a column had and has in bookingdb.texts, and returns their ids for the audit log; of figures, the figures.';
