create or replace function bookingdb.refuse_old_calls()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- The functions that were replaced, as words of a regular expression.
    v_old constant text := '\m(' || array_to_string(tg_argv, '|') || ')\M';
    v_stack text;
begin
    -- Once the adoption has committed, a call finds the new function. `adopt` records that moment as its last entry.
    if exists (
        select from (
            select a.object, a.created_at from bookingdb.adoption as a order by a.id desc limit 1
        ) as l
        where l.object = 'commit' and l.created_at <= statement_timestamp()
    ) then
        return null;
    end if;

    -- The functions that are running, the innermost first, without this one. Only names are looked for: the other
    -- words of a line are in the language of lc_messages.
    get diagnostics v_stack = pg_context;
    v_stack := regexp_replace(v_stack, '^[^\n]*\n?', '');

    -- An old body cannot be running inside the engine. A statement that the application sends itself has no stack.
    -- A body in SQL that the planner inlined is on no stack: the statement that called it names it.
    if v_stack <> '' and v_stack !~ '\mbookingdb\.\w+\('
        and (
            v_stack ~ v_old
            or (v_stack !~ '\minline_code_block\M' and current_query() ~* (v_old || '"?\s*\('))
        )
    then
        perform bookingdb.raise_error('busy');
    end if;
    return null;
end;
$function$;

comment on function bookingdb.refuse_old_calls() is
'Trigger (BEFORE, per statement) of an adopted database: refuses what the functions named in its arguments, which the adoption replaced, still write in calls that had begun before. Raises: busy.';
