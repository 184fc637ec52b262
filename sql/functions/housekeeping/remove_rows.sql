create or replace function bookingdb.remove_rows(p_table regclass, p_places tid[], p_dry_run boolean)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_removed integer;
begin
    if p_dry_run then
        return cardinality(p_places);
    end if;
    execute format(
        'delete from %1$s as r where r.ctid = any (array('
        'select l.ctid from %1$s as l where l.ctid = any ($1) for update skip locked))',
        p_table
    )
    using p_places;
    get diagnostics v_removed = row_count;
    return v_removed;
end;
$function$;

comment on function bookingdb.remove_rows(regclass, tid[], boolean) is
'Removes the rows at p_places from a table, but for those that somebody has locked, and returns how many; a dry run returns how many there are.';
