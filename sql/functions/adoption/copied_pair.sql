create or replace function bookingdb.copied_pair(
    p_table oid,
    p_theirs text,
    p_ours text,
    p_old jsonb,
    p_new jsonb,
    p_is_settled boolean
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_their_value constant jsonb := p_new -> p_theirs;
    v_our_value constant jsonb := p_new -> p_ours;
    v_their_type text;
    v_our_type text;
    v_as_theirs jsonb;
    v_as_ours jsonb;
    v_is_theirs boolean;
    v_copied jsonb;
begin
    -- 1. Most writes leave a pair as it is. A column that is gone has no value, not even null.
    if v_their_value = v_our_value
        or v_their_value is null
        or v_our_value is null
        or (v_their_value = p_old -> p_theirs and v_our_value = p_old -> p_ours) then
        return '{}';
    end if;

    -- 2. Values of two types are equal when one is what the other becomes. A generated column follows by itself.
    select format_type(a.atttypid, a.atttypmod) into v_their_type
    from pg_attribute as a
    where a.attrelid = p_table and a.attname = p_theirs and a.attgenerated = '';
    select format_type(a.atttypid, a.atttypmod) into v_our_type
    from pg_attribute as a
    where a.attrelid = p_table and a.attname = p_ours;
    v_as_theirs := bookingdb.copied_value(v_our_value, v_our_type, v_their_type);
    v_as_ours := bookingdb.copied_value(v_their_value, v_their_type, v_our_type);
    if v_their_type is null or v_as_theirs = v_their_value or v_as_ours = v_our_value then
        return '{}';
    end if;

    -- 3. The column that was written wins; of two, ours. An insert does not say what it gave: a value that is not the
    -- column's default was given.
    v_is_theirs := case
        when p_old is not null then not p_is_settled and v_our_value = p_old -> p_ours
        when v_our_value = 'null' then true
        when v_their_value = 'null' or p_is_settled or (p_new ->> 'credits_charged')::integer > 0 then false
        else v_our_value is not distinct from bookingdb.column_default(p_table, p_ours, v_our_type)
    end;
    -- A duration that nobody gave follows the end that somebody gave.
    if p_old is null
        and not p_is_settled
        and v_our_value = 'null'
        and p_ours = 'duration_minutes'
        and p_new -> 'end_time' <> 'null'
        and v_their_value = bookingdb.column_default(p_table, p_theirs, v_their_type) then
        return '{}';
    end if;

    v_copied := case when v_is_theirs then v_as_ours else v_as_theirs end;
    if v_copied is null then
        raise warning 'columns % and % of session % differ: one cannot hold what the other has',
            p_theirs, p_ours, p_new ->> 'id';
        return '{}';
    end if;
    return jsonb_build_object(case when v_is_theirs then p_ours else p_theirs end, v_copied);
end;
$function$;

comment on function bookingdb.copied_pair(oid, text, text, jsonb, jsonb, boolean) is
'Returns what makes two columns of a session that mean the same equal, as an object of column and value; {} where they are. p_is_settled: ours has its last value, and theirs follows.';
