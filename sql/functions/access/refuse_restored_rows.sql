create or replace function bookingdb.refuse_restored_rows()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An installation gives its rows the next id; its first ones are older than this trigger. A dump brings the
    -- history of another installation, and after it rows that the triggers would write down a second time.
    if (select max(h.id) from bookingdb.history as h) < new.id is not true then
        raise exception using
            errcode = 'integrity_constraint_violation',
            message = 'The rows of a dump cannot be restored while the triggers of bookingdb are there',
            hint = 'Restore the whole dump into an empty database, or its rows as docs/operating.md says (Backups).';
    end if;
    return new;
end;
$function$;

comment on function bookingdb.refuse_restored_rows() is
'Trigger on bookingdb.history, per row: refuses the history of another installation, with which a data-only restore begins. Raises: 23000.';
