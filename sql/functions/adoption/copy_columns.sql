create or replace function bookingdb.copy_columns()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_new constant jsonb := to_jsonb(new);
    v_old constant jsonb := case tg_op when 'UPDATE' then to_jsonb(old) end;
    v_theirs text;
    v_ours text;
    v_from text;
    v_copied jsonb := '{}';
begin
    for v_number in 0..tg_nargs - 1 by 2 loop
        v_theirs := tg_argv[v_number];
        v_ours := tg_argv[v_number + 1];
        -- Decide which of the two columns the other one follows, if any.
        v_from := case
            when v_new -> v_theirs = v_new -> v_ours then null
            when v_old is not null then
                case
                    when v_new -> v_ours <> v_old -> v_ours and v_new -> v_theirs = v_old -> v_theirs then v_ours
                    when v_new -> v_theirs <> v_old -> v_theirs and v_new -> v_ours = v_old -> v_ours then v_theirs
                end
            -- A column that the functions of bookingdb do not write has its default.
            when v_new -> v_theirs = 'null' or (v_new ->> 'credits_charged')::integer > 0 then v_ours
            when v_new -> v_ours = 'null' then v_theirs
        end;
        if v_from = v_ours then
            v_copied := v_copied || jsonb_build_object(v_theirs, v_new -> v_ours);
        elsif v_from = v_theirs then
            v_copied := v_copied || jsonb_build_object(v_ours, v_new -> v_theirs);
        end if;
    end loop;

    if v_copied <> '{}' then
        new := jsonb_populate_record(new, v_copied);
    end if;
    return new;
end;
$function$;

comment on function bookingdb.copy_columns() is
'Trigger (BEFORE, per row) of an adopted database: keeps pairs of columns, theirs and ours, equal. NULL takes the other''s value, an unchanged column follows; what bookingdb wrote wins.';
