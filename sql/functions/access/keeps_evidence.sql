create or replace function bookingdb.keeps_evidence(p_table text, p_old jsonb, p_new jsonb)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The change is judged, never the writer: definer functions run as the owner, too. A setting, a flag or a name that
    -- opens this would be open to everybody who writes plain statements. What an erasure on record leaves of a row is
    -- one thing alone: nobody chooses among its words.
    if p_new is not distinct from p_old then
        return true;
    end if;
    return p_new is not null and p_new = bookingdb.erased_record(p_table, p_old);
end;
$function$;

comment on function bookingdb.keeps_evidence(text, jsonb, jsonb) is
'Says whether an append-only table (schema.name) still says what it said when p_old becomes p_new (NULL: is deleted), but for words that an erasure on record takes.';
