create or replace function bookingdb.refuse_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if tg_op <> 'TRUNCATE' then
        if bookingdb.keeps_evidence(format('%I.%I', tg_table_schema, tg_table_name), to_jsonb(old), to_jsonb(new)) then
            return null;
        end if;
        -- is_superuser is about the calling role; current_user is the owner of this function.
        if current_setting('is_superuser')::boolean then
            insert into bookingdb.rewritten_records (table_name, operation, old_row, new_row, rewritten_by)
            values (
                format('%I.%I', tg_table_schema, tg_table_name), tg_op, to_jsonb(old), to_jsonb(new),
                bookingdb.effective_role()
            );
            return null;
        end if;
    end if;

    raise exception using
        errcode = 'insufficient_privilege',
        message = format('%s of %I.%I is refused', tg_op, tg_table_schema, tg_table_name),
        hint = case tg_op
            when 'TRUNCATE' then 'TRUNCATE fires no row trigger and would break the invariants: DELETE instead.'
            else 'The table is append-only: write a new entry that corrects the old one.'
        end;
end;
$function$;

comment on function bookingdb.refuse_change() is
'Trigger: refuses TRUNCATE and every change of evidence but one that keeps_evidence(). What a superuser changes all the same is recorded in rewritten_records. Raises: 42501.';
