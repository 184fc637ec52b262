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
    v_copied jsonb := '{}';
begin
    for v_number in 0..tg_nargs - 1 by 2 loop
        v_copied := v_copied || bookingdb.copied_pair(
            tg_relid, tg_argv[v_number], tg_argv[v_number + 1], v_old, v_new, false
        );
    end loop;
    if v_copied <> '{}' then
        new := jsonb_populate_record(new, v_copied);
    end if;
    return new;
end;
$function$;

comment on function bookingdb.copy_columns() is
'Trigger (BEFORE, per row) of an adopted database: of pairs of columns, theirs and ours, the one that was not written follows. It fires before the times are settled; settle_columns() comes last.';
