create or replace function bookingdb.copied_value(p_value jsonb, p_from text, p_to text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_copied jsonb;
begin
    if p_value = 'null' or p_from = p_to then
        return p_value;
    end if;
    execute format('select to_jsonb(($1 #>> ''{}'')::%s::%s)', p_from, p_to) into v_copied using p_value;
    return v_copied;
exception
    when data_exception or integrity_constraint_violation or cannot_coerce then
        return null;
end;
$function$;

comment on function bookingdb.copied_value(jsonb, text, text) is
'Returns a column''s value as a column of another type holds it (a text is cut to its length), NULL where it cannot.';
